#include "eval/run_report.h"

#include <charconv>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

struct Sample {
  int64_t step = 0;
  fs::path file;
};

// samples/NAME-STEP.png
std::map<std::string, std::vector<Sample>> samples_by_name(const fs::path& folder) {
  std::map<std::string, std::vector<Sample>> samples;
  if (!fs::is_directory(folder)) return samples;
  for (const auto& file : list_images(folder, false)) {
    const std::string stem = file.stem().string();
    const size_t dash = stem.rfind('-');
    int64_t step = 0;
    if (dash == std::string::npos || file.extension() != ".png") continue;
    const auto [end, fault] = std::from_chars(stem.data() + dash + 1, stem.data() + stem.size(), step);
    if (fault == std::errc() && end == stem.data() + stem.size()) samples[stem.substr(0, dash)].push_back({step, file});
  }
  for (auto& [name, list] : samples) std::sort(list.begin(), list.end(), [](const Sample& a, const Sample& b) { return a.step < b.step; });
  return samples;
}

std::string prefix_of(const std::string& name) { return name.substr(0, name.find('/')); }

// Losses span decades; scores and rates do not gain from a logarithm.
bool wants_log_scale(const std::vector<Series>& series) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const auto& one : series) {
    for (const double value : one.y) {
      if (!std::isfinite(value)) continue;
      if (value <= 0) return false;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  return high > 20 * low;
}

}  // namespace

std::vector<Series> read_metrics(const fs::path& run) {
  std::map<std::string, Series> curves;
  if (!fs::exists(run / "metrics.jsonl")) return {};
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("step") || !entry["step"].is_number()) continue;
    for (const auto& [name, value] : entry.items()) {
      if (name == "step" || !value.is_number()) continue;
      auto& curve = curves[name];
      curve.name = name;
      curve.x.push_back(entry["step"].get<double>());
      curve.y.push_back(value.get<double>());
    }
  }
  std::vector<Series> result;
  for (auto& [name, curve] : curves) result.push_back(std::move(curve));
  return result;
}

void add_metric_charts(HtmlReport& report, const std::vector<std::pair<std::string, fs::path>>& runs) {
  std::map<std::string, std::vector<Series>> charts;
  for (const auto& [run_name, folder] : runs) {
    for (auto& curve : read_metrics(folder)) {
      const std::string chart = runs.size() == 1 ? prefix_of(curve.name) : curve.name;
      if (runs.size() > 1) curve.name = run_name;
      charts[chart].push_back(std::move(curve));
    }
  }
  for (const auto& [title, series] : charts) report.chart(title, series, {.log_y = wants_log_scale(series)});
  if (charts.empty()) report.paragraph("No values have been logged yet.");
}

void check_run_folder(const fs::path& run) {
  if (!fs::is_directory(run)) throw UsageError(run.string() + ": no such run folder");
  if (!fs::exists(run / "metrics.jsonl") && !fs::exists(run / "config.toml")) {
    throw UsageError(run.string() + ": not a run folder (it has neither config.toml nor metrics.jsonl)");
  }
}

fs::path write_run_report(const fs::path& run) {
  check_run_folder(run);
  HtmlReport report("Run " + fs::weakly_canonical(run).filename().string());
  report.heading("Curves");
  add_metric_charts(report, {{"", run}});

  const auto curves = read_metrics(run);
  if (!curves.empty()) {
    report.heading("Last values");
    std::vector<std::vector<std::string>> rows;
    for (const auto& curve : curves)
      rows.push_back({curve.name, fmt::format("{:.6g}", curve.y.back()), fmt::format("{:.0f}", curve.x.back())});
    report.table({"name", "value", "step"}, rows);
  }
  const auto samples = samples_by_name(run / "samples");
  if (!samples.empty()) report.heading("Samples");
  for (const auto& [name, list] : samples) {
    // The first, the middle and the last tell the story without making the page heavy.
    for (const size_t i : std::set<size_t>{0, list.size() / 2, list.size() - 1})
      report.image(fmt::format("{}, step {}", name, list[i].step), list[i].file);
  }
  if (fs::exists(run / "config.toml")) {
    report.heading("Configuration");
    report.preformatted("config.toml", read_file(run / "config.toml"));
  }
  report.write(run / "report.html");
  return run / "report.html";
}

}  // namespace lpnsr
