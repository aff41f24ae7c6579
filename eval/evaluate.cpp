#include "eval/evaluate.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"
#include "core/log.h"
#include "eval/table.h"

namespace lpnsr {
namespace {

nlohmann::json json_number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

}  // namespace

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

std::vector<double> score_pair(const PicturePair& pair, const std::vector<Metric>& metrics) {
  const auto image = read_image(pair.picture).rgb;
  at::Tensor reference;
  if (!pair.reference.empty()) {
    reference = read_image(pair.reference).rgb;
    if (image.sizes() != reference.sizes()) {
      throw UsageError(fmt::format("{} is {}x{} pixels, its reference {} is {}x{}: scores against a reference need equal sizes",
                                   pair.picture.string(), image.size(2), image.size(1), pair.reference.string(), reference.size(2),
                                   reference.size(1)));
    }
  }
  std::vector<double> values;
  for (const auto& metric : metrics) {
    if (metric.needs_reference && !reference.defined()) {
      throw UsageError("metric '" + metric.name + "' compares with a reference: name its folder (--reference)");
    }
    try {
      values.push_back(metric.score(image, reference));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: {}: {}", pair.picture.string(), metric.name, error.what()));
    }
  }
  return values;
}

Evaluation evaluate(const std::vector<PicturePair>& pairs, const std::vector<Metric>& metrics) {
  Evaluation evaluation{metrics, {}};
  Progress progress("evaluate", static_cast<int64_t>(pairs.size()), 0, "pictures");
  for (const auto& pair : pairs) {
    evaluation.pictures.push_back({pair.picture.filename().string(), score_pair(pair, metrics)});
    progress.advance();
  }
  progress.finish();
  return evaluation;
}

std::vector<double> Evaluation::means() const {
  std::vector<double> means;
  for (size_t m = 0; m < metrics.size(); ++m) {
    std::vector<double> values;
    for (const auto& picture : pictures) values.push_back(picture.values[m]);
    means.push_back(mean_of(values));
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
  return markdown_table("picture", columns, rows, false);
}

std::string Evaluation::csv() const {
  std::string text = "picture";
  for (const auto& metric : metrics) text += "," + csv_field(metric.name);
  const auto line = [&text](const std::string& name, const std::vector<double>& values) {
    text += "\n" + csv_field(name);
    for (const double value : values) text += fmt::format(",{}", value);
  };
  for (const auto& picture : pictures) line(picture.name, picture.values);
  line("AVERAGE", means());
  return text + "\n";
}

nlohmann::json Evaluation::json() const {
  nlohmann::json result;
  const auto mean = means();
  for (size_t m = 0; m < metrics.size(); ++m) {
    result["metrics"].push_back(
        {{"name", metrics[m].name}, {"protocol", metrics[m].protocol}, {"higher_is_better", metrics[m].higher_is_better}});
    result["mean"][metrics[m].name] = json_number(mean[m]);
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
