// lpnsr figure: the paper's figures, and one's own.
#include <iostream>
#include <map>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/autocast.h"
#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_text.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/figures.h"

namespace lpnsr {

int run_figure(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("figure", "Draws the paper's figures, and one's own, as PNG and SVG; computes what they need.",
                   "lpnsr figure 4 --device cuda\n"
                   "  lpnsr figure mine.toml --output results/figures");
  CommonOptions common;
  std::vector<std::string> names;
  std::string output, cells;
  line.add()("name", po::value(&names)->required()->value_name("NAME"), "1 to 6, a name of experiments/figures, or a figure's file")(
      "output,o", po::value(&output)->default_value("results/figures")->value_name("DIR"), "for NAME.png and NAME.svg")(
      "results", po::value(&cells)->default_value("results")->value_name("DIR"),
      "the folder of lpnsr table, whose cells are used and added to");
  line.positional("name", -1);
  add_common_options(line, common, {"weights-dir", "set", "device", "precision", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  set_threads(common.threads);
  const CacheOptions options{cells, weights_folder(common.weights_dir), common.device, common.precision, common.threads};
  static const std::map<std::string, FigureSheet (*)(const FigureFile&, const CacheOptions&)> kinds = {
      {"crops", draw_crops},   {"noise", draw_noise}, {"distribution", draw_distribution},
      {"spread", draw_spread}, {"steps", draw_steps}, {"curves", draw_curves}};

  std::vector<FigureFile> figures;
  for (const auto& name : names) figures.push_back(read_figure_file(find_experiment_file(name, "figures", "figure"), common.set));
  std::vector<std::filesystem::path> files;
  for (const auto& figure : figures) files.push_back(figure.path);
  check_names_of_results(files, "figure");

  make_output_folder(output);
  const c10::Device device = parse_device(common.device);
  const AutocastScope autocast(device, usable_precision(device, parse_precision(common.precision)));
  nlohmann::json written = nlohmann::json::array();
  for (const auto& figure : figures) {
    const auto file = std::filesystem::path(output) / figure.path.stem();
    kinds.at(figure.kind)(figure, options).write(file);
    for (const auto* extension : {".svg", ".png"}) {
      written.push_back(file.string() + extension);
      if (!common.json) std::cout << file.string() << extension << "\n";
    }
  }
  if (common.json) std::cout << json_text(written, 2) << "\n";
  return 0;
}

}  // namespace lpnsr
