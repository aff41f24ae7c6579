// lpnsr restore: Algorithm 2 on a picture or a folder.
#include <charconv>
#include <chrono>
#include <fstream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/in_order.h"
#include "core/json_text.h"
#include "core/log.h"
#include "diffusion/restorer.h"
#include "eval/pairing.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/picture_jobs.h"
#include "tools/restore_picture.h"
#include "tools/trained_file.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::vector<int64_t> parse_steps(const std::string& text) {
  std::vector<int64_t> steps;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    int64_t step = 0;
    const auto [rest, fault] = std::from_chars(text.data() + start, text.data() + end, step);
    if (fault != std::errc() || rest != text.data() + end) {
      throw UsageError(fmt::format("--predictor-off '{}': steps separated by commas expected, as 4,3,2", text));
    }
    steps.push_back(step);
    start = end + 1;
  }
  return steps;
}

// The true picture of each job.
std::vector<fs::path> find_references(const std::vector<PictureJob>& jobs, const std::string& place) {
  if (place.empty()) throw UsageError("--noise optimal is computed from the true picture (Eq. 9): name its folder with --reference");
  std::error_code unreachable;
  if (!fs::exists(place, unreachable)) throw Error(fmt::format("--reference '{}' does not exist", place));
  const Counterparts counterparts(place);
  std::vector<fs::path> references;
  for (const auto& job : jobs) {
    references.push_back(counterparts.of(job.input));
    if (references.back().empty()) {
      throw Error(fmt::format("--reference '{}' holds no picture that belongs to {}", place, job.input.string()));
    }
  }
  return references;
}

// Told together, so that nobody fetches one file after the other.
void check_weights(const Experiment& experiment, const fs::path& file, bool upsample_only, const fs::path& folder) {
  std::vector<std::string> missing;
  for (const auto& needed : needed_weights(experiment.system, upsample_only)) {
    try {
      find_needed(experiment, file, needed, folder);
    } catch (const Error& error) {
      missing.emplace_back(error.what());
    }
  }
  if (!missing.empty()) throw Error(fmt::format("{}", fmt::join(missing, "\n")));
}

// What reading a picture ahead gave: the picture, or what it met.
struct ReadAhead {
  RestoreInput input;
  std::exception_ptr fault;
};

std::string extension_of(const std::string& format) {
  static const std::vector<std::string> known = {"png", "jpg", "webp", "tiff", "bmp", "same"};
  if (std::find(known.begin(), known.end(), format) == known.end()) {
    throw UsageError(fmt::format("--format '{}': must be png, jpg, webp, tiff, bmp or same{}", format, did_you_mean(format, known)));
  }
  return format == "same" ? "" : "." + format;
}

}  // namespace

int run_restore(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("restore", "Restores a picture, or each picture of a folder, at four times its size (Algorithm 2).",
                   "lpnsr restore -i photo.png -o restored.png --weights-dir weights\n"
                   "  lpnsr restore -i photos/ -o restored/ --pre-upsampler bicubic --steps 2");
  CommonOptions common;
  std::string input, output, experiment_file, suffix, off, reference, noise_maps, intermediate, noise, pre_upsampler, color_fix, memory,
      times, format = "png";
  int64_t steps = 0, start_step = 0, tile = 0, tile_stride = 0, tile_batch = 0, loaders = 2, seeds = 1;
  double scale = 0.0;
  bool upsample_only = false, skip_existing = false;
  line.add()("input,i", po::value(&input)->required()->value_name("PATH"), "a picture or a folder of pictures")(
      "output,o", po::value(&output)->required()->value_name("PATH"), "file for a picture, folder for a folder")(
      "experiment", po::value(&experiment_file)->value_name("TOML"),
      "networks, weights and sampling; without it the published configuration")(
      "steps", po::value(&steps)->value_name("N"), "sampling steps, 1 to T")("start-step", po::value(&start_step)->value_name("T"),
                                                                             "paper's t to start at")(
      "noise", po::value(&noise)->value_name("SOURCE"), "predictor, random, optimal or approximate (Table 5)")(
      "predictor-off", po::value(&off)->value_name("LIST"), "paper's t at which a random draw replaces the predictor, as 4,3,2 (Table 4)")(
      "pre-upsampler", po::value(&pre_upsampler)->value_name("NAME"), "swinir, bsrgan, realesrgan or bicubic (Table 7)")(
      "pre-upsample-only", po::bool_switch(&upsample_only), "write what the chain would start from: the rows of the regression methods")(
      "tile", po::value(&tile)->value_name("N"), "LR side above which patches are cut; 0: never")(
      "tile-stride", po::value(&tile_stride)->value_name("N"), "distance between patches; default: half of --tile")(
      "tile-batch", po::value(&tile_batch)->value_name("N"), "patches that go through the networks at a time")(
      "memory", po::value(&memory)->value_name("GIB"),
      "memory to stay within (of the GPU with --device cuda): smaller patches, no seams, the result written row by row; auto: what is "
      "free; off: as published, whatever it takes; default: as published where that fits")(
      "color-fix", po::value(&color_fix)->value_name("KIND"), "wavelet, adain or none")(
      "reference", po::value(&reference)->value_name("PATH"),
      "true pictures under the inputs' names (or the one picture), for --noise optimal")(
      "noise-maps", po::value(&noise_maps)->value_name("DIR"), "write the noise of each step as pictures (Fig. 2)")(
      "intermediate", po::value(&intermediate)->value_name("DIR"), "write what the denoiser predicts at each step, decoded")(
      "scale", po::value(&scale)->value_name("X"), "size of the results relative to the inputs: resized where it is not the network's 4")(
      "seeds", po::value(&seeds)->value_name("N"),
      "samples of each picture, with --seed and the numbers after it: NAME, NAME-seedS, …, their mean and their spread")(
      "format", po::value(&format)->value_name("TYPE"), "of the results of a folder: png, jpg, webp, tiff, bmp, or same as the input")(
      "skip-existing", po::bool_switch(&skip_existing), "keep results that are there already")(
      "suffix", po::value(&suffix)->value_name("TEXT"), "added to the names of the results of a folder")(
      "times", po::value(&times)->value_name("FILE"), "add a JSON line for each picture: how many seconds restoring and writing it took")(
      "loaders", po::value(&loaders)->default_value(2)->value_name("N"),
      "pictures of a folder read at the same time, ahead of the networks");
  add_common_options(line, common, {"weights-dir", "seed", "set", "device", "precision", "threads"});
  if (!line.parse(arguments)) return 0;
  set_threads(common.threads);
  if (loaders < 1 || loaders > 64) throw UsageError(fmt::format("--loaders {}: 1 to 64 expected", loaders));
  if (seeds < 1 || seeds > 10000) throw UsageError(fmt::format("--seeds {}: 1 to 10000 expected", seeds));
  if (line.has("scale") && !(scale > 0.0 && scale <= 64.0))
    throw UsageError(fmt::format("--scale {}: above 0 and at most 64 expected", scale));

  // Options are configuration keys under shorter names, so that one set of checks and messages serves both.
  std::vector<std::string> overrides = common.set;
  const auto override_text = [&](const char* option, const char* key, const std::string& value) {
    if (line.has(option)) overrides.push_back(fmt::format("{}=\"{}\"", key, value));
  };
  const auto override_number = [&](const char* option, const char* key, int64_t value) {
    if (line.has(option)) overrides.push_back(fmt::format("{}={}", key, value));
  };
  override_text("noise", "sampling.noise", noise);
  override_text("pre-upsampler", "pre_upsampler", pre_upsampler);
  override_text("color-fix", "restore.color_fix", color_fix);
  // Either of the two says where the chain starts, whatever the experiment's other one is.
  if (line.has("steps")) overrides.emplace_back("sampling.start_step=0");
  if (line.has("start-step")) overrides.emplace_back("sampling.steps=0");
  override_number("steps", "sampling.steps", steps);
  override_number("start-step", "sampling.start_step", start_step);
  override_number("tile", "restore.tile", tile);
  if (line.has("tile") && tile > 0 && !line.has("tile-stride"))
    overrides.push_back(fmt::format("restore.tile_stride={}", std::max<int64_t>(1, tile / 2)));
  override_number("tile-stride", "restore.tile_stride", tile_stride);
  override_number("tile-batch", "restore.tile_batch", tile_batch);
  if (line.has("predictor-off")) overrides.push_back(fmt::format("sampling.predictor_off=[{}]", fmt::join(parse_steps(off), ",")));

  if (upsample_only) overrides.emplace_back("restore.pre_upsample_only=true");

  Experiment experiment;
  if (experiment_file.empty()) {
    read_config_text(fields_of(experiment), "", "the published configuration", overrides);
  } else {
    experiment = load_experiment(experiment_file, overrides);
  }
  experiment.restore.seed = line.has("seed") || experiment_file.empty() ? common.seed : static_cast<uint64_t>(experiment.seed);

  upsample_only = experiment.restore.pre_upsample_only;
  if (seeds > 1 && upsample_only) throw UsageError("--seeds: --pre-upsample-only draws nothing, so there is one result");

  PictureRestorer work;
  work.network_scale = experiment.system.autoencoder.scale();
  work.scale = line.has("scale") ? scale : static_cast<double>(work.network_scale);
  work.seed = experiment.restore.seed;
  work.seeds = seeds;
  work.memory = parse_memory(memory, experiment.restore.memory);
  work.noise_maps = noise_maps;
  work.intermediate = intermediate;
  const c10::Device device = parse_device(common.device);
  const c10::ScalarType asked = parse_precision(common.precision), precision = usable_precision(device, asked);
  tell_of_precision(device, asked);
  auto jobs = plan_pictures(input, output, suffix, extension_of(format));
  if (skip_existing) {
    const size_t planned = jobs.size();
    std::erase_if(jobs, [&work](const PictureJob& job) {
      const auto files = work.outputs(job);
      return std::all_of(files.begin(), files.end(), [](const fs::path& file) { return fs::exists(file); });
    });
    if (jobs.size() < planned) log_info("{} of {} results are there already and are kept", planned - jobs.size(), planned);
    if (jobs.empty()) return 0;
  }
  std::vector<fs::path> references;
  if (experiment.system.sampling.noise == "optimal" && !upsample_only) references = find_references(jobs, reference);
  for (const auto& job : jobs) check_writable(job.output, 1, 1);
  const fs::path weights = weights_folder(common.weights_dir);
  check_weights(experiment, experiment_file, upsample_only, weights);
  if (upsample_only) {
    work.upsampling.emplace(experiment.system, experiment.restore, load_pre_upsampler(experiment.system, weights, precision));
    work.upsampling->to(device);
  } else {
    work.restorer.emplace(Restorer::load(experiment.system, experiment.restore, weights, precision));
    work.restorer->to(device);
  }
  for (const auto& folder : {noise_maps, intermediate}) {
    if (!folder.empty()) make_output_folder(folder);
  }
  for (const auto& job : jobs) make_folder_of(job.output);

  std::ofstream timings;
  if (!times.empty()) {
    timings.open(times, std::ios::app);
    if (!timings) throw Error(fmt::format("--times {}: cannot be written", times));
  }
  PictureFaults faults("restored", jobs.size());
  Progress progress("restoring", static_cast<int64_t>(jobs.size()), 0, "pictures");
  // Pictures are read ahead of the networks, so that decoding a large file costs no waiting.
  const auto read = [&](int64_t i) -> ReadAhead {
    try {
      const auto index = static_cast<size_t>(i);
      return {{read_image(jobs[index].input), references.empty() ? std::nullopt : std::optional(read_image(references[index]).rgb)},
              nullptr};
    } catch (const std::exception&) {
      return {{}, std::current_exception()};
    }
  };
  in_order(static_cast<int64_t>(jobs.size()), loaders, read, [&](int64_t i, const ReadAhead& ahead) {
    const PictureJob& job = jobs[static_cast<size_t>(i)];
    try {
      if (ahead.fault) std::rethrow_exception(ahead.fault);
      const auto begun = std::chrono::steady_clock::now();
      work.run(job, ahead.input);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
      if (timings.is_open()) timings << json_text(nlohmann::json{{"picture", job.name}, {"seconds", taken.count()}}) << std::endl;
    } catch (const UsageError&) {
      throw;
    } catch (const std::exception& error) {
      faults.add(job.input, error);
    }
    progress.advance();
  });
  progress.finish();
  faults.throw_if_any();
  return 0;
}

}  // namespace lpnsr
