#include "eval/evaluate.h"

#include <iostream>

#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {

int run_evaluate(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("evaluate", "Scores restored pictures, against references of the same names where a metric needs them.",
                   "lpnsr evaluate --restored results/ --reference gt/ --metrics psnr,ssim,lpips.alex --csv scores.csv");
  CommonOptions common;
  MetricOptions options;
  std::string restored, reference, metrics, csv_file, json_file;
  line.add()("restored", po::value(&restored)->required()->value_name("PATH"), "a picture or a folder of pictures")(
      "reference", po::value(&reference)->value_name("PATH"), "the true pictures, found by name (X_LR4.png finds X_HR.png)")(
      "metrics", po::value(&metrics)->default_value("psnr,ssim")->value_name("LIST"), "of psnr, ssim, lpips.alex, lpips.vgg")(
      "protocol", po::value(&options.psnr_ssim.protocol)->default_value(options.psnr_ssim.protocol)->value_name("NAME"),
      "whose PSNR and SSIM: lpnsr, basicsr, resshift, pyiqa or pyiqa_yiq")(
      "channel", po::value(&options.psnr_ssim.channel)->default_value(options.psnr_ssim.channel)->value_name("y|rgb"),
      "what PSNR and SSIM compare")("crop", po::value(&options.psnr_ssim.crop)->default_value(options.psnr_ssim.crop)->value_name("N"),
                                    "border left out of PSNR and SSIM; -1: the protocol's (4, pyiqa 0)")(
      "csv", po::value(&csv_file)->value_name("FILE"), "also writes the scores as CSV, the means last")(
      "json-file", po::value(&json_file)->value_name("FILE"), "also writes the scores as JSON");
  add_common_options(line, common, {"weights-dir", "device", "threads", "json"});
  if (!line.parse(arguments)) return 0;

  set_threads(common.threads);
  options.weights = weights_folder(common.weights_dir);
  options.device = parse_device(common.device);
  const auto chosen = make_metrics(split_names(metrics), options);
  for (const auto& metric : chosen) {
    if (metric.needs_reference && reference.empty()) throw UsageError("metric '" + metric.name + "' needs --reference");
  }
  const auto evaluation = evaluate(pair_pictures(restored, reference), chosen);
  if (!csv_file.empty()) write_file_atomically(csv_file, evaluation.csv());
  if (!json_file.empty()) write_file_atomically(json_file, evaluation.json().dump(2) + "\n");
  std::cout << (common.json ? evaluation.json().dump(2) + "\n" : evaluation.table());
  return 0;
}

}  // namespace lpnsr
