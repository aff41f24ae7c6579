#include "eval/evaluate.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"
#include "core/in_order.h"
#include "core/log.h"
#include "eval/metrics.h"
#include "eval/paired.h"
#include "eval/table.h"

namespace lpnsr {
namespace {

struct DecodedPair {
  at::Tensor image, reference;
};

DecodedPair decoded(const PicturePair& pair) {
  DecodedPair pictures{read_image(pair.picture).rgb, {}};
  if (!pair.reference.empty()) pictures.reference = read_image(pair.reference).rgb;
  return pictures;
}

void check_sizes(const PicturePair& pair, const DecodedPair& pictures) {
  if (!pictures.reference.defined() || pictures.image.sizes() == pictures.reference.sizes()) return;
  throw UsageError(fmt::format("{} is {}x{} pixels, its reference {} is {}x{}: scores against a reference need equal sizes",
                               pair.picture.string(), pictures.image.size(2), pictures.image.size(1), pair.reference.string(),
                               pictures.reference.size(2), pictures.reference.size(1)));
}

// Features of both sides, picture by picture.
struct SetFeatures {
  std::vector<at::Tensor> pictures, references;
};

// One value for each metric; metrics of sets keep their features instead.
std::vector<double> score(const PicturePair& pair, const DecodedPair& pictures, const std::vector<Metric>& metrics,
                          std::vector<SetFeatures>& features) {
  std::vector<double> values;
  for (size_t m = 0; m < metrics.size(); ++m) {
    const auto& metric = metrics[m];
    if (metric.needs_reference() && !pictures.reference.defined())
      throw UsageError("metric '" + metric.name + "' compares with a reference: name its folder (--reference)");
    if (metric.kind == MetricKind::pair) check_sizes(pair, pictures);
    try {
      if (metric.kind == MetricKind::set) {
        features[m].pictures.push_back(metric.features(pictures.image));
        features[m].references.push_back(metric.features(pictures.reference));
        values.push_back(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      values.push_back(metric.score(pictures.image, pictures.reference));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: {}: {}", pair.picture.string(), metric.name, error.what()));
    }
    if (std::isnan(values.back())) log_warning("{}: {} has no value; it is left out of the mean", pair.picture.string(), metric.name);
  }
  return values;
}

}  // namespace

nlohmann::json json_number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  int64_t count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

double deviation_of(const std::vector<double>& values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Evaluation evaluate(const std::vector<PicturePair>& pairs, const std::vector<Metric>& metrics) {
  Evaluation evaluation{metrics, {}, std::vector<double>(metrics.size(), std::numeric_limits<double>::quiet_NaN())};
  std::vector<SetFeatures> features(metrics.size());
  Progress progress("evaluate", static_cast<int64_t>(pairs.size()), 0, "pictures");
  // The next pictures are decoded while one is scored.
  constexpr int64_t decoders = 3;
  in_order(
      static_cast<int64_t>(pairs.size()), decoders, [&](int64_t i) { return decoded(pairs[static_cast<size_t>(i)]); },
      [&](int64_t i, const DecodedPair& pictures) {
        const auto& pair = pairs[static_cast<size_t>(i)];
        evaluation.pictures.push_back({pair.picture.filename().string(), score(pair, pictures, metrics, features)});
        progress.advance();
      });
  for (size_t m = 0; m < metrics.size(); ++m) {
    if (metrics[m].kind == MetricKind::set)
      evaluation.sets[m] = metrics[m].distance(at::stack(features[m].pictures), at::stack(features[m].references));
  }
  progress.finish();
  return evaluation;
}

std::vector<double> Evaluation::values(size_t metric) const {
  std::vector<double> values;
  for (const auto& picture : pictures) values.push_back(picture.values[metric]);
  return values;
}

std::vector<double> Evaluation::means() const {
  std::vector<double> means;
  for (size_t m = 0; m < metrics.size(); ++m) {
    if (metrics[m].kind == MetricKind::set) {
      means.push_back(sets[m]);
      continue;
    }
    means.push_back(mean_of(values(m)));
  }
  return means;
}

std::string Evaluation::table() const {
  std::vector<Column> columns;
  for (const auto& metric : metrics) columns.push_back(column_of(metric));
  std::vector<TableRow> rows;
  const auto add = [&rows](const std::string& name, const std::vector<double>& values) {
    TableRow row{name, {}};
    for (const double value : values) row.cells.push_back({value});
    rows.push_back(std::move(row));
  };
  for (const auto& picture : pictures) add(picture.name, picture.values);
  add("mean", means());
  for (size_t m = 0; m < metrics.size(); ++m) rows.back().cells[m].interval = bootstrap_interval(values(m));
  return markdown_table("picture", columns, rows, false);
}

std::string Evaluation::csv() const {
  std::string text = "picture";
  for (const auto& metric : metrics) text += "," + csv_field(fmt::format("{} [{}]", metric.name, full_protocol(metric)));
  const auto line = [&](const std::string& name, const std::vector<double>& values) {
    text += "\n" + csv_field(name);
    for (size_t m = 0; m < values.size(); ++m) {
      // A metric of sets has no value of one picture.
      text += metrics[m].kind == MetricKind::set && name != "AVERAGE" ? "," : fmt::format(",{}", values[m]);
    }
  };
  for (const auto& picture : pictures) line(picture.name, picture.values);
  line("AVERAGE", means());
  return text + "\n";
}

nlohmann::json Evaluation::json() const {
  nlohmann::json result;
  const auto mean = means();
  for (size_t m = 0; m < metrics.size(); ++m) {
    nlohmann::json weights = nlohmann::json::array();
    for (const auto& file : metrics[m].weights) weights.push_back({{"file", file.filename().string()}, {"sha256", file_hash(file)}});
    result["metrics"].push_back({{"name", metrics[m].name},
                                 {"protocol", metrics[m].protocol},
                                 {"higher_is_better", metrics[m].higher_is_better},
                                 {"weights", std::move(weights)}});
    result["mean"][metrics[m].name] = json_number(mean[m]);
    const auto interval = bootstrap_interval(values(m));
    result["interval95"][metrics[m].name] = {json_number(interval.low), json_number(interval.high)};
  }
  result["pictures"] = nlohmann::json::array();
  for (const auto& picture : pictures) {
    nlohmann::json entry = {{"picture", picture.name}};
    for (size_t m = 0; m < metrics.size(); ++m) entry[metrics[m].name] = json_number(picture.values[m]);
    result["pictures"].push_back(std::move(entry));
  }
  return result;
}

}  // namespace lpnsr
