#include "eval/paired.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace lpnsr {
namespace {

constexpr int64_t resamples = 10000, flips = 20000;
constexpr size_t exhaustive_pictures = 14;  // 2^14 ways to flip the signs

double linear_quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Interval bootstrap_interval(const std::vector<double>& values) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](double value) { return std::isfinite(value); });
  if (finite.size() < 2) return {};
  RandomStream random(stream_seed(0, "bootstrap", {finite.size()}));
  std::vector<double> means;
  for (int64_t r = 0; r < resamples; ++r) {
    double sum = 0;
    for (size_t i = 0; i < finite.size(); ++i) sum += finite[random.bits() % finite.size()];
    means.push_back(sum / static_cast<double>(finite.size()));
  }
  std::sort(means.begin(), means.end());
  return {linear_quantile(means, 0.025), linear_quantile(means, 0.975)};
}

double difference(double a, double b) { return a == b ? 0.0 : a - b; }

double paired_p_value(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (const double of_picture = difference(a[i], b[i]); std::isfinite(of_picture)) differences.push_back(of_picture);
  }
  if (differences.empty()) return std::numeric_limits<double>::quiet_NaN();
  double observed = 0, scale = 0;
  for (const double one : differences) {
    observed += one;
    scale += std::abs(one);
  }
  // Sums that differ by rounding alone count as equal.
  const double limit = std::abs(observed) - 1e-12 * scale;
  const bool exhaustive = differences.size() <= exhaustive_pictures;
  const int64_t draws = exhaustive ? int64_t{1} << differences.size() : flips;
  RandomStream random(stream_seed(0, "sign flips", {differences.size()}));
  int64_t as_extreme = exhaustive ? 0 : 1, total = exhaustive ? draws : draws + 1;
  for (int64_t draw = 0; draw < draws; ++draw) {
    double sum = 0;
    uint64_t signs = static_cast<uint64_t>(draw);
    for (size_t i = 0; i < differences.size(); ++i) {
      if (!exhaustive && i % 64 == 0) signs = random.bits();
      sum += (signs >> (i % 64) & 1U) != 0 ? -differences[i] : differences[i];
    }
    if (std::abs(sum) >= limit) ++as_extreme;
  }
  return static_cast<double>(as_extreme) / static_cast<double>(total);
}

}  // namespace lpnsr
