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
#include "tools/picture_jobs.h"

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

  const auto jobs = plan_pictures(input, std::filesystem::path(output) / "", "");
  const auto write_crop = [&](const PictureJob& job) {
    at::Tensor rgb = read_image(job.input).rgb;
    while (halve_above > 0 && std::max(rgb.size(1), rgb.size(2)) > halve_above && std::min(rgb.size(1), rgb.size(2)) > 1) rgb = halved(rgb);
    if (rgb.size(1) < size || rgb.size(2) < size)
      throw Error(fmt::format("{} x {} pixels are too few for a crop of {}", rgb.size(2), rgb.size(1), size));
    write_rgb(job.output, busiest_crop(rgb, size));
  };
  for (const auto& job : jobs) make_folder_of(job.output);
  PictureFaults faults("cropped", jobs.size());
  for (const auto& job : jobs) {
    try {
      write_crop(job);
    } catch (const std::exception& error) {
      faults.add(job.input, error);
    }
  }
  log_info("{} crops of {} x {} in {}", jobs.size() - faults.count(), size, size, output);
  faults.throw_if_any();
  return 0;
}

}  // namespace lpnsr
