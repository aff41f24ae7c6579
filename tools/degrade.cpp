#include "degradation/degrade.h"

#include <iostream>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/in_order.h"
#include "core/json_text.h"
#include "core/log.h"
#include "degradation/explain.h"
#include "eval/degradation_report.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/picture_jobs.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// Which low-resolution picture: the source's name and the number of the copy, from 1.
using CopyKey = std::pair<std::string, int64_t>;

std::map<CopyKey, DegradationParameters> read_parameters(const fs::path& path) {
  std::map<CopyKey, DegradationParameters> parameters;
  std::istringstream text(read_file(path));
  std::string line;
  for (int64_t number = 1; std::getline(text, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      const auto json = nlohmann::json::parse(line);
      if (!json.is_object() || !json.contains("picture") || !json["picture"].is_string()) throw DataError("picture: a name was expected");
      const auto copy = json.value("copy", nlohmann::json(1));
      if (!copy.is_number_integer()) throw DataError("copy: a whole number was expected");
      parameters[{json["picture"].get<std::string>(), copy.get<int64_t>()}] =
          parameters_from_json(json.value("parameters", nlohmann::json()));
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

struct Degraded {
  std::optional<DataError> fault;  // why there is none
  DegradationParameters parameters;
  at::Tensor hr;
};

// NAME.png, or NAME-1.png, NAME-2.png … of several copies.
fs::path output_of(const PictureJob& job, int64_t copy, int64_t copies) {
  if (copies == 1) return job.output;
  return job.output.parent_path() / fmt::format("{}-{}.png", job.output.stem().string(), copy);
}

// Emptied first: what an earlier run drew must not lie beside pictures of this one, should it be killed. What it repeats stays true.
void forget_parameters(const fs::path& file, const fs::path& repeated) {
  std::error_code absent;
  if (fs::exists(file, absent) && !fs::equivalent(file, repeated, absent)) write_file_atomically(file, "");
}

void print_stages(const std::string& name, const Degraded& degraded) {
  std::cout << name << "\n";
  for (const auto& [stage, what] : explain(degraded.parameters, degraded.hr.size(1), degraded.hr.size(2))) {
    std::cout << fmt::format("  {:<14} {}\n", stage, what);
  }
}

}  // namespace

int run_degrade(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("degrade",
                   "Makes low-resolution pictures with the RealESRGAN pipeline and writes what was drawn into OUT/parameters.jsonl.",
                   "lpnsr degrade -i hr/ -o lr/ --seed 7 --set degradation.second_order_prob=0");
  CommonOptions common;
  std::string input, output, experiment_file, parameters_file, report_file;
  int64_t copies = 1;
  line.add()("input,i", po::value(&input)->required()->value_name("PATH"), "a picture or a folder of pictures")(
      "output,o", po::value(&output)->required()->value_name("DIR"), "folder for the results, PNG")(
      "experiment", po::value(&experiment_file)->value_name("TOML"), "its [degradation] section; without it the published configuration")(
      "parameters", po::value(&parameters_file)->value_name("FILE"), "a parameters.jsonl of an earlier run: the same pictures again")(
      "count", po::value(&copies)->value_name("N")->default_value(copies), "low-resolution pictures for each, NAME-1.png …")(
      "explain", po::bool_switch(), "print the stages of each picture")(
      "report", po::value(&report_file)->value_name("HTML"),
      "a page with the first picture after each stage and histograms of what was drawn");
  add_common_options(line, common, {"set", "seed", "threads"});
  if (!line.parse(arguments)) return 0;
  if (copies < 1) throw UsageError(fmt::format("--count {}: at least 1 was expected", copies));

  Experiment experiment;
  if (experiment_file.empty()) {
    read_config_text(fields_of(experiment), "", "--set", common.set);
  } else {
    experiment = load_experiment(experiment_file, common.set);
  }
  const uint64_t seed = line.has("seed") || experiment_file.empty() ? common.seed : static_cast<uint64_t>(experiment.seed);
  const auto jobs = plan_pictures(input, fs::path(output) / "", /*suffix=*/"");
  std::map<CopyKey, DegradationParameters> given;
  if (!parameters_file.empty()) {
    given = read_parameters(parameters_file);
    for (const auto& job : jobs) {
      for (int64_t copy = 1; copy <= copies; ++copy) {
        if (!given.contains({job.source, copy})) {
          throw DataError(
              fmt::format("{}: has no line for {}{}", parameters_file, job.source, copies > 1 ? fmt::format(", copy {}", copy) : ""));
        }
      }
    }
  }

  const int64_t threads = one_picture_a_thread(common);
  make_folder_of(report_file);
  make_output_folder(output);
  for (const auto& job : jobs) make_folder_of(job.output);
  DegradationReport report;
  std::optional<Degraded> shown;
  const int64_t pictures = static_cast<int64_t>(jobs.size()) * copies;
  PictureFaults faults("degraded", static_cast<size_t>(pictures));
  Progress progress("degrading", pictures, 0, "pictures");
  const auto degrade_one = [&](int64_t number) {
    const PictureJob& job = jobs[static_cast<size_t>(number / copies)];
    const int64_t copy = number % copies + 1;
    Degraded result;
    RandomStream stream(stream_seed(seed, "degrade/" + job.source, {static_cast<uint64_t>(copy)}));
    result.parameters = given.empty() ? draw_parameters(experiment.degradation, stream) : given.at({job.source, copy});
    try {
      result.hr = whole_pixels(read_image(job.input).rgb, result.parameters.scale, job.input);
    } catch (const DataError& error) {
      result.fault = error;
      return result;
    }
    write_rgb(output_of(job, copy, copies), degrade(result.hr, result.parameters));
    return result;
  };
  const fs::path drawn = fs::path(output) / "parameters.jsonl";
  forget_parameters(drawn, parameters_file);
  write_file_atomically(drawn, [&](std::ostream& lines) {
    in_order(pictures, threads, degrade_one, [&](int64_t number, Degraded degraded) {
      const PictureJob& job = jobs[static_cast<size_t>(number / copies)];
      const int64_t copy = number % copies + 1;
      progress.advance();
      if (degraded.fault) return faults.add(job.input, *degraded.fault);
      nlohmann::ordered_json row = {{"picture", job.source}};
      if (copies > 1) row["copy"] = copy;
      row["parameters"] = to_json(degraded.parameters);
      lines << json_text(row) << "\n";
      if (line.has("explain")) print_stages(output_of(job, copy, copies).filename().string(), degraded);
      if (report_file.empty()) return;
      report.add(degraded.parameters);
      if (!shown) shown = std::move(degraded);
    });
  });
  progress.finish();
  if (shown) report.write(report_file, jobs.front().source, shown->hr, shown->parameters);
  faults.throw_if_any();
  return 0;
}

}  // namespace lpnsr
