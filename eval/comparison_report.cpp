#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/resize.h"
#include "eval/comparison.h"
#include "eval/html_report.h"
#include "eval/run_report.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::string protocol_note(const Comparison& comparison) {
  const auto& first = comparison.methods.front().seeds;
  const auto has_seeds =
      std::any_of(comparison.methods.begin(), comparison.methods.end(), [](const MethodResult& m) { return m.seeds.size() > 1; });
  return fmt::format("Means over {} pictures{}. An arrow up: higher is better. In brackets the protocol of each score.",
                     first.front().pairs.size(), has_seeds ? "; ± is the standard deviation of that mean over seeds" : "");
}

// Reference file name -> input.
std::map<std::string, fs::path> inputs_by_reference(const ComparisonOptions& options) {
  std::map<std::string, fs::path> inputs;
  if (options.low_resolution.empty()) return inputs;
  for (const auto& pair : pair_pictures(options.low_resolution, options.reference))
    inputs[pair.reference.filename().string()] = pair.picture;
  return inputs;
}

void add_pictures(HtmlReport& report, const Comparison& comparison, const ComparisonOptions& options) {
  const auto& pairs = comparison.methods.front().seeds.front().pairs;
  const size_t shown = std::min(pairs.size(), static_cast<size_t>(options.shown));
  if (shown == 0) return;
  const auto inputs = inputs_by_reference(options);
  report.heading("Pictures");
  for (size_t p = 0; p < shown; ++p) {
    const auto reference = read_image(pairs[p].reference).rgb;
    const std::string name = pairs[p].reference.filename().string();
    std::vector<std::pair<std::string, at::Tensor>> row;
    const auto input = inputs.find(name);
    if (input != inputs.end()) {
      row.emplace_back("LR (bicubic)", resize_bicubic(read_image(input->second).rgb, reference.size(1), reference.size(2)).clamp(0, 1));
    }
    for (const auto& method : comparison.methods) {
      const auto& seed = method.seeds.front();
      const double first_score = seed.evaluation.pictures[p].values.front();
      const auto& metric = comparison.metrics.front();
      row.emplace_back(fmt::format("{} ({} {:.{}f})", method.name, metric.label, first_score, metric.decimals),
                       read_image(seed.pairs[p].picture).rgb);
    }
    row.emplace_back("HR", reference);
    report.image_row(name, row);
  }
}

// PICTURE-LABEL.png, grouped by PICTURE.
void add_noise_maps(HtmlReport& report, const ComparisonOptions& options) {
  if (!options.noise_folders.empty()) report.heading("Noise maps");
  for (size_t f = 0; f < options.noise_folders.size(); ++f) {
    std::map<std::string, std::vector<std::pair<std::string, at::Tensor>>> rows;
    for (const auto& file : list_images(options.noise_folders[f], false)) {
      const std::string stem = file.stem().string();
      const size_t dash = stem.rfind('-');
      const std::string label = dash == std::string::npos ? "" : stem.substr(dash + 1);
      rows[stem.substr(0, dash)].emplace_back(label, read_image(file).rgb);
    }
    size_t left = static_cast<size_t>(options.shown);
    for (const auto& [picture, maps] : rows) {
      if (left == 0) break;
      --left;
      report.image_row(options.noise_names[f] + ": " + picture, maps);
    }
  }
}

}  // namespace

void write_comparison(const Comparison& comparison, const ComparisonOptions& options, const fs::path& output) {
  make_output_folder(output);
  const std::string note = protocol_note(comparison);
  const auto columns = comparison.columns();
  const auto rows = comparison.rows();
  write_file_atomically(output / "table.md",
                        "# " + options.title + "\n\n" + markdown_table("method", columns, rows, true) + "\n" + note + "\n");
  write_file_atomically(output / "scores.csv", comparison.csv());

  HtmlReport report(options.title);
  report.heading("Scores");
  report.table("method", columns, rows);
  report.paragraph(note);
  add_pictures(report, comparison, options);
  add_noise_maps(report, options);
  if (!options.runs.empty()) {
    report.heading("Training");
    std::vector<std::pair<std::string, fs::path>> runs;
    for (size_t r = 0; r < options.runs.size(); ++r) runs.emplace_back(options.run_names[r], options.runs[r]);
    add_metric_charts(report, runs);
  }
  report.write(output / "report.html");
}

}  // namespace lpnsr
