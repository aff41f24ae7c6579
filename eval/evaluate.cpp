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

// Features of both sides, a batch at a time.
struct SetFeatures {
  std::vector<at::Tensor> pictures, references;
};

// Pictures that are scored together.
struct Batch {
  std::vector<PicturePair> pairs;
  Metric::Pictures images, references;  // as many, or no references
  int64_t pixels = 0;

  void add(const PicturePair& pair, const DecodedPair& pictures) {
    pairs.push_back(pair);
    images.push_back(pictures.image);
    if (pictures.reference.defined()) references.push_back(pictures.reference);
    pixels += pictures.image.size(1) * pictures.image.size(2);
  }
  Batch only(size_t i) const { return {{pairs[i]}, {images[i]}, references.empty() ? references : Metric::Pictures{references[i]}}; }
};

// The values of a batch; of a metric of sets NaN, its features are kept.
std::vector<double> values_of(const Batch& batch, const Metric& metric, SetFeatures& features) {
  try {
    if (metric.kind != MetricKind::set) return scores_of(metric, batch.images, batch.references);
    const auto of_pictures = metric.features(batch.images), of_references = metric.features(batch.references);
    features.pictures.push_back(of_pictures);
    features.references.push_back(of_references);
    return std::vector<double>(batch.images.size(), std::numeric_limits<double>::quiet_NaN());
  } catch (const UsageError& error) {
    if (batch.pairs.size() == 1)
      throw UsageError(fmt::format("{}: {}: {}", batch.pairs.front().picture.string(), metric.name, error.what()));
    // Which picture it is comes out one by one.
    std::vector<double> values;
    for (size_t i = 0; i < batch.pairs.size(); ++i) values.push_back(values_of(batch.only(i), metric, features).front());
    return values;
  }
}

// One row a picture, one value for each metric.
std::vector<PictureScores> score(const Batch& batch, const std::vector<Metric>& metrics, std::vector<SetFeatures>& features) {
  std::vector<PictureScores> rows;
  for (const auto& pair : batch.pairs) rows.push_back({pair.picture.filename().string(), {}});
  for (size_t m = 0; m < metrics.size(); ++m) {
    const auto& metric = metrics[m];
    if (metric.needs_reference() && batch.references.empty())
      throw UsageError("metric '" + metric.name + "' compares with a reference: name its folder (--reference)");
    if (metric.kind == MetricKind::pair) {
      for (size_t i = 0; i < batch.pairs.size(); ++i) check_sizes(batch.pairs[i], {batch.images[i], batch.references[i]});
    }
    const auto values = values_of(batch, metric, features[m]);
    for (size_t i = 0; i < values.size(); ++i) {
      rows[i].values.push_back(values[i]);
      if (std::isnan(values[i]) && metric.kind != MetricKind::set)
        log_warning("{}: {} has no value; it is left out of the mean", batch.pairs[i].picture.string(), metric.name);
    }
  }
  return rows;
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
  size_t at_a_time = 1;
  for (const auto& metric : metrics) at_a_time = std::max(at_a_time, static_cast<size_t>(metric.batch));
  // The next pictures are decoded while some are scored.
  constexpr int64_t decoders = 3, pixels_at_a_time = int64_t{1} << 24;
  Batch batch;
  in_order(
      static_cast<int64_t>(pairs.size()), decoders, [&](int64_t i) { return decoded(pairs[static_cast<size_t>(i)]); },
      [&](int64_t i, const DecodedPair& pictures) {
        batch.add(pairs[static_cast<size_t>(i)], pictures);
        const bool last = i + 1 == static_cast<int64_t>(pairs.size());
        if (!last && batch.pairs.size() < at_a_time && batch.pixels < pixels_at_a_time) return;
        for (auto& row : score(batch, metrics, features)) evaluation.pictures.push_back(std::move(row));
        progress.advance(static_cast<int64_t>(batch.pairs.size()));
        batch = {};
      });
  for (size_t m = 0; m < metrics.size(); ++m) {
    if (metrics[m].kind == MetricKind::set)
      evaluation.sets[m] = metrics[m].distance(at::cat(features[m].pictures), at::cat(features[m].references));
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
