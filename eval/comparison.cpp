#include "eval/comparison.h"

#include <fnmatch.h>
#include <set>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "eval/metrics.h"
#include "eval/psnr_ssim.h"
#include "eval/run_report.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// Of an absolute path whose parts may be patterns. A part that is there under its own name is no pattern, whatever characters it has.
std::vector<fs::path> seed_folders(const fs::path& pattern) {
  std::vector<fs::path> folders = {pattern.root_path()};
  for (const auto& part : pattern.relative_path()) {
    if (part.empty()) continue;  // after a slash at the end
    std::vector<fs::path> deeper;
    std::error_code unreadable;  // then it holds none
    for (const auto& folder : folders) {
      if (fs::is_directory(folder / part, unreadable)) {
        deeper.push_back(folder / part);
        continue;
      }
      for (const auto& entry : fs::directory_iterator(folder, unreadable)) {
        const fs::path name = entry.path().filename();
        if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0 && entry.is_directory(unreadable)) deeper.push_back(entry.path());
      }
    }
    std::sort(deeper.begin(), deeper.end());
    folders = std::move(deeper);
  }
  if (folders.empty()) throw UsageError(pattern.string() + ": no such folder of restored pictures");
  return folders;
}

std::vector<Metric> chosen_metrics(const ComparisonOptions& options, const MetricOptions& metric_options) {
  if (!options.metrics.empty()) return make_metrics(options.metrics, metric_options);
  std::vector<Metric> metrics;
  for (const auto& description : metric_descriptions()) {
    if (description.kind == MetricKind::set) continue;
    try {
      if (!description.files.empty()) find_metric_files(description, metric_options.weights);
    } catch (const Error&) {
      log_info("{} is left out: its weights are not in {}", description.name, metric_options.weights.string());
      continue;
    }
    metrics.push_back(make_metric(description.name, metric_options));
  }
  return metrics;
}

std::set<std::string> references_of(const std::vector<PicturePair>& pairs) {
  std::set<std::string> names;
  for (const auto& pair : pairs) names.insert(pair.reference.filename().string());
  return names;
}

// Means over different pictures must not be compared.
void check_same_pictures(const std::vector<PicturePair>& pairs, const fs::path& folder, const std::set<std::string>& wanted) {
  const auto present = references_of(pairs);
  if (present.size() != pairs.size()) throw Error(folder.string() + ": two pictures belong to one reference");
  std::vector<std::string> missing, extra;
  std::set_difference(wanted.begin(), wanted.end(), present.begin(), present.end(), std::back_inserter(missing));
  std::set_difference(present.begin(), present.end(), wanted.begin(), wanted.end(), std::back_inserter(extra));
  if (!missing.empty())
    throw Error(fmt::format("{}: lacks pictures that the first folder has: {}", folder.string(), fmt::join(missing, ", ")));
  if (!extra.empty()) throw Error(fmt::format("{}: has pictures that the first folder lacks: {}", folder.string(), fmt::join(extra, ", ")));
}

void check_parallel(const std::vector<std::string>& names, const std::vector<std::string>& folders, const char* names_key,
                    const char* folders_key) {
  if (names.size() != folders.size()) {
    throw UsageError(fmt::format("{} has {} entries and {} {}: each entry of one belongs to the entry of the other at its place", names_key,
                                 names.size(), folders_key, folders.size()));
  }
}

}  // namespace

void ComparisonOptions::fields(FieldVisitor& v) {
  v.text("title", title, "of the page");
  v.texts("names", names, "of the methods");
  v.texts("folders", folders, "restored pictures of each method; a pattern such as dir/seed* names several seeds");
  v.text("reference", reference, "folder of the true pictures");
  v.text("low_resolution", low_resolution, "folder of the inputs, shown beside the results");
  v.texts("noise_names", noise_names, "captions of noise_folders");
  v.texts("noise_folders", noise_folders, "folders of noise maps, PICTURE-LABEL.png");
  v.texts("run_names", run_names, "captions of runs");
  v.texts("runs", runs, "run folders whose curves are shown");
  v.texts("metrics", metrics, "by name, as psnr, lpips.alex, niqe:flavour=basicsr; empty: all whose weights are there");
  v.choice("protocol", protocol, psnr_ssim_protocols(), "implementation whose PSNR and SSIM are followed");
  v.choice("channel", channel, {"y", "rgb"}, "what PSNR and SSIM compare");
  v.integer("crop", crop, {-1}, "border left out of PSNR and SSIM; -1: the protocol's");
  v.integer("shown", shown, {0}, "pictures on the page");
}

ComparisonOptions read_comparison(const fs::path& file, const std::vector<std::string>& overrides) {
  ComparisonOptions options;
  read_config(fields_of(options), file, overrides);
  if (options.names.empty()) throw UsageError(file.string() + ": names: at least one method is needed");
  if (options.reference.empty()) throw UsageError(file.string() + ": reference: the folder of the true pictures is needed");
  check_parallel(options.names, options.folders, "names", "folders");
  check_parallel(options.noise_names, options.noise_folders, "noise_names", "noise_folders");
  check_parallel(options.run_names, options.runs, "run_names", "runs");
  const fs::path base = fs::absolute(file).parent_path();
  const auto resolve = [&base](std::string& path) {
    if (!path.empty()) path = (base / path).lexically_normal().string();
  };
  resolve(options.reference);
  resolve(options.low_resolution);
  for (auto* paths : {&options.folders, &options.noise_folders, &options.runs}) std::for_each(paths->begin(), paths->end(), resolve);
  return options;
}

Comparison compare(const ComparisonOptions& options, const fs::path& weights, c10::Device device) {
  // What only the page shows is looked at before hours of scoring.
  for (const auto& run : options.runs) check_run_folder(run);
  for (const auto& folder : options.noise_folders) list_images(folder, /*recursive=*/false);
  if (!options.low_resolution.empty()) pair_pictures(options.low_resolution, options.reference);
  const std::vector<std::string> flavour = {"protocol=" + options.protocol, "channel=" + options.channel,
                                            "crop=" + std::to_string(options.crop)};
  Comparison comparison{chosen_metrics(options, {.weights = weights, .device = device, .psnr_ssim = flavour}), {}};
  for (size_t m = 0; m < options.names.size(); ++m) {
    MethodResult method{options.names[m], {}};
    for (const auto& folder : seed_folders(options.folders[m])) {
      SeedResult seed{folder, pair_pictures(folder, options.reference), {}};
      std::sort(seed.pairs.begin(), seed.pairs.end(), [](const PicturePair& a, const PicturePair& b) { return a.reference < b.reference; });
      method.seeds.push_back(std::move(seed));
    }
    comparison.methods.push_back(std::move(method));
  }
  const auto wanted = references_of(comparison.methods.front().seeds.front().pairs);
  for (const auto& method : comparison.methods) {
    for (const auto& seed : method.seeds) check_same_pictures(seed.pairs, seed.folder, wanted);
  }
  for (auto& method : comparison.methods) {
    for (auto& seed : method.seeds) seed.evaluation = evaluate(seed.pairs, comparison.metrics);
  }
  return comparison;
}

std::vector<TableRow> Comparison::rows() const {
  std::vector<TableRow> rows;
  for (const auto& method : methods) {
    TableRow row{method.name, {}};
    for (size_t m = 0; m < metrics.size(); ++m) {
      std::vector<double> means;
      for (const auto& seed : method.seeds) means.push_back(seed.evaluation.means()[m]);
      row.cells.push_back({mean_of(means), deviation_of(means)});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Column> Comparison::columns() const {
  std::vector<Column> columns;
  for (const auto& metric : metrics) columns.push_back(column_of(metric));
  return columns;
}

std::string Comparison::csv() const {
  std::string text = "method,seed,picture";
  for (const auto& metric : metrics) text += "," + csv_field(fmt::format("{} [{}]", metric.name, full_protocol(metric)));
  text += "\n";
  for (const auto& method : methods) {
    for (const auto& seed : method.seeds) {
      for (size_t p = 0; p < seed.pairs.size(); ++p) {
        text += csv_field(method.name) + "," + csv_field(seed.folder.filename().string()) + "," +
                csv_field(seed.pairs[p].reference.filename().string());
        for (const double value : seed.evaluation.pictures[p].values) text += fmt::format(",{}", value);
        text += "\n";
      }
    }
  }
  return text;
}

}  // namespace lpnsr
