// lpnsr crop: evaluation crops out of photographs.
#include <filesystem>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/log.h"
#include "eval/test_crops.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {

int run_crop(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("crop", "cuts the most textured square out of each photograph: targets for an evaluation",
                   "lpnsr crop -i photographs/ -o test/hr --size 256 --halve-above 2000");
  std::string input, output;
  int64_t size = 256, halve_above = 0;
  line.add()("input,i", po::value(&input)->required(), "photograph or folder of photographs")(
      "output,o", po::value(&output)->required(), "folder of the crops, PNG under the photographs' names")(
      "size", po::value(&size)->default_value(size), "side of the square in pixels")(
      "halve-above", po::value(&halve_above)->default_value(halve_above), "halve pictures until their long side is no longer; 0: never");
  if (!line.parse(arguments)) return 0;
  if (size < 1) throw UsageError("crop: --size must be at least 1");

  make_output_folder(output);
  const auto pictures = list_images(input, /*recursive=*/false);
  if (pictures.empty()) throw Error(fmt::format("'{}' holds no pictures", input));
  for (const auto& path : pictures) {
    at::Tensor rgb = read_image(path).rgb;
    while (halve_above > 0 && std::max(rgb.size(1), rgb.size(2)) > halve_above && std::min(rgb.size(1), rgb.size(2)) > 1) rgb = halved(rgb);
    if (rgb.size(1) < size || rgb.size(2) < size) {
      throw Error(fmt::format("'{}' is {} x {}: too small for a crop of {}", path.string(), rgb.size(2), rgb.size(1), size));
    }
    write_rgb(std::filesystem::path(output) / path.filename().replace_extension(".png"), busiest_crop(rgb, size));
  }
  log_info("{} crops of {} x {} in {}", pictures.size(), size, size, output);
  return 0;
}

}  // namespace lpnsr
