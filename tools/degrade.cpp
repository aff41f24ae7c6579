#include "degradation/degrade.h"

#include <map>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/log.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/picture_jobs.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::map<std::string, DegradationParameters> read_parameters(const fs::path& path) {
  std::map<std::string, DegradationParameters> parameters;
  std::istringstream text(read_file(path));
  std::string line;
  for (int64_t number = 1; std::getline(text, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      const auto json = nlohmann::json::parse(line);
      if (!json.is_object() || !json.contains("picture") || !json["picture"].is_string()) throw DataError("picture: a name was expected");
      parameters[json["picture"].get<std::string>()] = parameters_from_json(json.value("parameters", nlohmann::json()));
    } catch (const nlohmann::json::exception& error) {
      throw DataError(fmt::format("{}:{}: is not JSON: {}", path.string(), number, error.what()));
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}:{}: {}", path.string(), number, error.what()));
    }
  }
  return parameters;
}

// Without the rows and columns at the bottom and right that do not fill a low-resolution pixel.
at::Tensor whole_pixels(const at::Tensor& picture, int64_t scale, const fs::path& origin) {
  const int64_t height = picture.size(1) / scale * scale, width = picture.size(2) / scale * scale;
  if (height == 0 || width == 0) {
    throw DataError(
        fmt::format("{}: {} x {} pixels are too few for a scale of {}", origin.string(), picture.size(2), picture.size(1), scale));
  }
  return picture.narrow(1, 0, height).narrow(2, 0, width);
}

}  // namespace

int run_degrade(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("degrade",
                   "Makes low-resolution pictures with the RealESRGAN pipeline and writes what was drawn into OUT/parameters.jsonl.",
                   "lpnsr degrade -i hr/ -o lr/ --seed 7 --set degradation.second_order_prob=0");
  CommonOptions common;
  std::string input, output, experiment_file, parameters_file;
  line.add()("input,i", po::value(&input)->required()->value_name("PATH"), "a picture or a folder of pictures")(
      "output,o", po::value(&output)->required()->value_name("DIR"), "folder for the results, PNG")(
      "experiment", po::value(&experiment_file)->value_name("TOML"), "its [degradation] section; without it the published configuration")(
      "parameters", po::value(&parameters_file)->value_name("FILE"), "a parameters.jsonl of an earlier run: the same pictures again");
  add_common_options(line, common, {"set", "seed"});
  if (!line.parse(arguments)) return 0;

  Experiment experiment;
  if (experiment_file.empty()) {
    read_config_text(fields_of(experiment), "", "--set", common.set);
  } else {
    experiment = load_experiment(experiment_file, common.set);
  }
  const uint64_t seed = line.has("seed") || experiment_file.empty() ? common.seed : static_cast<uint64_t>(experiment.seed);
  const auto jobs = plan_pictures(input, fs::path(output) / "", /*suffix=*/"");
  std::map<std::string, DegradationParameters> given;  // by PictureJob::source
  if (!parameters_file.empty()) {
    given = read_parameters(parameters_file);
    for (const auto& job : jobs) {
      if (!given.contains(job.source)) throw DataError(fmt::format("{}: has no line for {}", parameters_file, job.source));
    }
  }

  make_output_folder(output);
  std::string lines;
  Progress progress("degrading", static_cast<int64_t>(jobs.size()), 0, "pictures");
  for (const auto& job : jobs) {
    RandomStream stream(stream_seed(seed, "degrade/" + job.source));
    const auto parameters = given.empty() ? draw_parameters(experiment.degradation, stream) : given.at(job.source);
    const at::Tensor hr = whole_pixels(read_image(job.input).rgb, parameters.scale, job.input);
    make_output_folder(job.output.parent_path());
    write_rgb(job.output, degrade(hr, parameters));
    lines += nlohmann::json{{"picture", job.source}, {"parameters", to_json(parameters)}}.dump() + "\n";
    progress.advance();
  }
  progress.finish();
  write_file_atomically(fs::path(output) / "parameters.jsonl", lines);
  return 0;
}

}  // namespace lpnsr
