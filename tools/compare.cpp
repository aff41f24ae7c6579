// lpnsr compare: a page with sliders.
#include <iostream>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "eval/slider_page.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {

int run_compare(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "compare",
      "Writes a self-contained page on which pictures of one scene lie on each other with a slider between them. (Scores and means "
      "over seeds: lpnsr report --compare.)",
      "lpnsr compare LPNSR=restored/ ResShift=random/ --low-resolution lq/ --reference hr/ -o comparison.html");
  SliderPage page;
  std::vector<std::string> methods;
  std::string output, low_resolution, reference;
  line.add()("method", po::value(&methods)->required()->value_name("NAME=PATH"),
             "a method: its name, and its folder of pictures or its picture")(
      "output,o", po::value(&output)->required()->value_name("HTML"), "the page")(
      "low-resolution,i", po::value(&low_resolution)->value_name("PATH"), "LR pictures; shown as they are and enlarged bicubically")(
      "reference", po::value(&reference)->value_name("PATH"), "true pictures")(
      "title", po::value(&page.title)->value_name("TEXT")->default_value(page.title), "of the page")(
      "shown", po::value(&page.shown)->value_name("N")->default_value(page.shown), "at most so many pictures")(
      "side", po::value(&page.side)->value_name("N")->default_value(page.side), "pixels of the part in the middle that is shown; 0: all");
  line.positional("method", -1);
  if (!line.parse(arguments)) return 0;
  if (page.shown < 1) throw UsageError(fmt::format("--shown {}: at least 1 expected", page.shown));
  if (page.side < 0) throw UsageError(fmt::format("--side {}: 0 or more expected", page.side));
  for (const auto& method : methods) {
    const size_t equals = method.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(fmt::format("'{}': a method is given as NAME=PATH", method));
    }
    page.methods.emplace_back(method.substr(0, equals), method.substr(equals + 1));
  }
  page.low_resolution = low_resolution;
  page.reference = reference;
  const std::filesystem::path file = output;
  make_folder_of(file);
  write_slider_page(page, file);
  std::cout << file.string() << "\n";
  return 0;
}

}  // namespace lpnsr
