#include "eval/evaluate.h"

#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_text.h"
#include "diffusion/system.h"
#include "eval/metrics.h"
#include "eval/side_by_side.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {

int run_evaluate(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "evaluate", "Scores restored pictures, against references of the same names where a metric needs them.",
      "lpnsr evaluate --restored results/ --reference gt/ --metrics psnr,ssim,lpips.alex --csv scores.csv\n"
      "  lpnsr evaluate --restored ours=a/ theirs=b/ --reference gt/ --metrics psnr,psnr:protocol=pyiqa,niqe --latex table.tex");
  CommonOptions common;
  MetricOptions options;
  std::vector<std::string> restored;
  std::string reference, metrics, csv_file, json_file, latex_file, markdown_file, protocol, channel;
  int64_t crop = -1, batch = 0;
  line.add()("restored", po::value(&restored)->required()->multitoken()->value_name("[NAME=]PATH"),
             "a picture or a folder of pictures; several are compared side by side")(
      "reference", po::value(&reference)->value_name("PATH"), "the true pictures, found by name (X_LR4.png finds X_HR.png)")(
      "metrics", po::value(&metrics)->default_value("psnr,ssim")->value_name("LIST"),
      fmt::format("of {}; NAME:KEY=VALUE sets an option", fmt::join(metric_names(), ", ")).c_str())(
      "protocol", po::value(&protocol)->default_value("lpnsr")->value_name("NAME"),
      "whose PSNR and SSIM: lpnsr, basicsr, resshift, pyiqa or pyiqa_yiq")(
      "channel", po::value(&channel)->default_value("y")->value_name("y|rgb"), "what PSNR and SSIM compare")(
      "crop", po::value(&crop)->default_value(crop)->value_name("N"), "border left out of PSNR and SSIM; -1: the protocol's (4, pyiqa 0)")(
      "batch", po::value(&batch)->value_name("N"),
      "pictures that a network sees at a time, of those whose sizes are equal; default: 1 on a CPU, up to 16 on a GPU")(
      "csv", po::value(&csv_file)->value_name("FILE"), "also writes the scores as CSV, the means last")(
      "json-file", po::value(&json_file)->value_name("FILE"), "also writes the scores as JSON")(
      "markdown", po::value(&markdown_file)->value_name("FILE"), "also writes the table")(
      "latex", po::value(&latex_file)->value_name("FILE"), "also writes the table of several methods as a LaTeX tabular");
  add_common_options(line, common, {"weights-dir", "device", "threads", "json"});
  if (!line.parse(arguments)) return 0;

  set_threads(common.threads);
  if (line.has("batch") && (batch < 1 || batch > 4096)) throw UsageError(fmt::format("--batch {}: 1 to 4096 expected", batch));
  options.batch = batch;
  options.psnr_ssim = {"protocol=" + protocol, "channel=" + channel, "crop=" + std::to_string(crop)};
  options.weights = weights_folder(common.weights_dir);
  options.device = parse_device(common.device);
  const auto chosen = make_metrics(split_names(metrics), options);
  for (const auto& metric : chosen) {
    if (metric.needs_reference() && reference.empty()) throw UsageError("metric '" + metric.name + "' needs --reference");
  }
  for (const auto* file : {&csv_file, &json_file, &markdown_file, &latex_file}) make_folder_of(*file);  // before hours of scoring
  const auto methods = parse_methods(restored);
  if (methods.size() == 1 && !latex_file.empty()) throw UsageError("--latex writes the table of several methods; one was named");
  std::string table, csv, latex;
  nlohmann::json json;
  if (methods.size() == 1) {
    const auto evaluation = evaluate(pair_pictures(methods.front().folder, reference), chosen);
    table = evaluation.table();
    csv = evaluation.csv();
    json = evaluation.json();
  } else {
    const SideBySide comparison(methods, reference, chosen);
    table = comparison.markdown();
    csv = comparison.csv();
    latex = comparison.latex();
    json = comparison.json();
  }
  for (const auto& [file, text] :
       {std::pair{&csv_file, csv}, {&json_file, json_text(json, 2) + "\n"}, {&markdown_file, table}, {&latex_file, latex}}) {
    if (!file->empty()) write_file_atomically(*file, text);
  }
  std::cout << (common.json ? json_text(json, 2) + "\n" : table);
  return 0;
}

}  // namespace lpnsr
