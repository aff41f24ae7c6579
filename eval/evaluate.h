#pragma once
// Scores of a folder of pictures: one value an image and metric, and their means.
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "eval/metric.h"
#include "eval/pairing.h"

namespace lpnsr {

struct PictureScores {
  std::string name;
  std::vector<double> values;  // in the order of the metrics
};

struct Evaluation {
  std::vector<Metric> metrics;
  std::vector<PictureScores> pictures;  // NaN in the columns of metrics of sets
  std::vector<double> sets = {};        // in the order of the metrics; NaN but for metrics of sets
  std::vector<double> values(size_t metric) const;
  std::vector<double> means() const;  // NaN values are left out, as in the released program; of a metric of sets its value
  std::string table() const;          // aligned Markdown
  std::string csv() const;            // picture,psnr,…; the last row AVERAGE
  nlohmann::json json() const;        // NaN is null, infinity the text "inf"
};

// Throws UsageError where a metric needs references and none are given, and where the sizes of a pair differ (naming both files).
Evaluation evaluate(const std::vector<PicturePair>& pairs, const std::vector<Metric>& metrics);

std::string csv_field(const std::string& text);          // RFC 4180: quoted where it holds a comma, a quote or a line's end
nlohmann::json json_number(double value);                // NaN as null, infinity as "inf"
double mean_of(const std::vector<double>& values);       // without NaN; NaN where nothing is left
double deviation_of(const std::vector<double>& values);  // standard deviation (n-1); NaN of fewer than two values

}  // namespace lpnsr
