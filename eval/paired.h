#pragma once
// How sure a mean over pictures is. Draws come from fixed streams: the same scores give the same numbers.
#include <limits>
#include <vector>

namespace lpnsr {

struct Interval {
  double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

// The 95% bootstrap interval of the mean (Efron's percentiles, 10000 resamples). Values that are not finite are left out; NaN where fewer
// than two are left.
Interval bootstrap_interval(const std::vector<double>& values);

// a - b; 0 where both are the same infinite value.
double difference(double a, double b);

// Two-sided p-value that two methods' scores of the same pictures have the same mean: the sign of each difference is flipped at random
// (20000 times and the observed one; all 2^n ways where that is fewer). Pictures whose difference is not finite are left out; NaN where
// none are left.
double paired_p_value(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace lpnsr
