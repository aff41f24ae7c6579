// lpnsr train: what the experiment file names, in a run folder.
#include <filesystem>

#include <fmt/format.h>

#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "diffusion/system.h"
#include "eval/metrics.h"
#include "eval/run_report.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/launch.h"
#include "tools/share.h"
#include "tools/train_plan.h"
#include "trainers/training_loop.h"
#include "trainers/validation.h"

namespace lpnsr {

namespace {

Placement place(const std::string& device, const TrainingOptions& training) {
  const RankSettings settings = rank_settings_from_environment();
  Placement placement;
  placement.device = parse_device(device == "cuda" && settings.count > 1 ? fmt::format("cuda:{}", settings.local_rank) : device);
  placement.ranks = Ranks(settings, placement.device, std::chrono::seconds(training.patience));
  if (training.cuda_graphs && !placement.device.is_cpu()) placement.recorder = cuda_graph_recorder();
  if (settings.rank > 0) {
    set_log_level(LogLevel::warning);
    return placement;
  }
  if (training.cuda_graphs && placement.device.is_cpu()) log_warning("training.cuda_graphs has no effect on a CPU");
  tell_of_precision(placement.device, parse_precision(training.precision));
  return placement;
}

std::vector<Score> scores_of(const std::vector<std::string>& names, const std::filesystem::path& weights) {
  MetricOptions options;
  options.weights = weights;
  std::vector<Score> scores;
  for (const Metric& metric : make_metrics(names, options)) {
    if (metric.kind == MetricKind::set) throw UsageError(fmt::format("validation.metrics: {} compares sets of pictures", metric.name));
    scores.push_back({metric.name, metric.higher_is_better, metric.score});
  }
  return scores;
}

int dry_run(const Experiment& experiment, const std::filesystem::path& weights, c10::Device device, int64_t processes, bool json) {
  std::vector<std::string> missing;
  if (!experiment.validation.folders.empty()) {
    try {
      check_validation(experiment.validation, scores_of(experiment.validation.metrics, weights));
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      missing.emplace_back(error.what());
    }
  }
  tell_of_precision(device, parse_precision(experiment.training.precision));  // what is counted is what is computed here
  TrainingPlan plan = plan_training(experiment, weights, device, processes);
  plan.missing.insert(plan.missing.end(), missing.begin(), missing.end());
  return print_plan(plan, experiment, processes, json);
}

}  // namespace

int run_train(const Arguments& arguments) {
  CommandLine line("train", "Trains what the experiment names: noise_predictor, denoiser, autoencoder or a one-step student (sinsr, rsd).",
                   "lpnsr train experiments/lpnsr.toml --weights-dir weights --output runs/lpnsr\n"
                   "  lpnsr train experiments/lpnsr.toml --dry-run\n"
                   "  lpnsr train experiments/lpnsr.toml --processes 8 --device cuda --precision bf16\n"
                   "  torchrun --nproc-per-node 8 --no-python lpnsr train experiments/lpnsr.toml --device cuda");
  CommonOptions common;
  TrainingRun run;
  std::string experiment_file, output;
  int64_t processes = 1;
  bool plan_only = false;
  namespace po = boost::program_options;
  line.add()("experiment", po::value(&experiment_file)->required(), "experiment file (TOML)")(
      "output,o", po::value(&output), "run folder; default: runs/ and the experiment's name")(
      "resume", po::value(&run.resume), "auto: from the newest checkpoint of the run folder, if there is one; or a checkpoint's path")(
      "processes", po::value(&processes)->default_value(1)->value_name("N"),
      "processes on this machine that share each batch; torchrun and Slurm start them themselves")(
      "dry-run", po::bool_switch(&plan_only),
      "trains and writes nothing: takes one picture through an iteration of each kind and prints networks, operations, memory, data, the "
      "plan and what is missing (then the exit status is 1)");
  add_common_options(line, common, {"weights-dir", "set", "device", "precision", "threads", "json"});
  line.positional("experiment", 1);
  if (!line.parse(arguments)) return 0;
  if (processes < 1 || processes > 1024) throw UsageError(fmt::format("--processes {}: 1 to 1024 expected", processes));
  if (line.has("precision")) common.set.push_back("training.precision=" + common.precision);
  const Experiment experiment = load_experiment(experiment_file, common.set);
  if (plan_only) {
    set_threads(common.threads);
    return dry_run(experiment, weights_folder(common.weights_dir), parse_device(common.device), processes, common.json);
  }
  if (common.json) throw UsageError("train: --json belongs to --dry-run; a run's results lie in its folder");
  if (processes > 1) {
    Arguments words = without_option(arguments, "processes");
    words.insert(words.begin(), "train");
    return launch(processes, words);
  }
  set_threads(common.threads);

  run.output =
      output.empty() ? std::filesystem::path("runs") / std::filesystem::path(experiment_file).stem() : std::filesystem::path(output);
  run.weights = weights_folder(common.weights_dir);
  run.placement = place(common.device, experiment.training);
  if (!experiment.validation.folders.empty()) run.scores = scores_of(experiment.validation.metrics, run.weights);
  const int signal = run_training(experiment, run);
  if (run.placement.ranks.first()) write_run_report(run.output);
  return signal == 0 ? 0 : 128 + signal;
}

}  // namespace lpnsr
