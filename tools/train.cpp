// lpnsr train: what the experiment file names, in a run folder.
#include <filesystem>

#include "core/device.h"
#include "core/error.h"
#include "diffusion/system.h"
#include "eval/run_report.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "trainers/training_loop.h"

namespace lpnsr {

int run_train(const Arguments& arguments) {
  CommandLine line("train", "trains what the experiment names: noise_predictor, denoiser or autoencoder",
                   "lpnsr train experiments/lpnsr.toml --weights-dir weights --output runs/lpnsr");
  CommonOptions common;
  TrainingRun run;
  std::string experiment_file, output;
  namespace po = boost::program_options;
  line.add()("experiment", po::value(&experiment_file)->required(), "experiment file (TOML)")(
      "output,o", po::value(&output), "run folder; default: runs/ and the experiment's name")(
      "resume", po::value(&run.resume), "auto: from the newest checkpoint of the run folder, if there is one; or a checkpoint's path");
  add_common_options(line, common, {"weights-dir", "set", "threads"});
  line.positional("experiment", 1);
  if (!line.parse(arguments)) return 0;
  set_threads(common.threads);

  const Experiment experiment = load_experiment(experiment_file, common.set);
  run.output =
      output.empty() ? std::filesystem::path("runs") / std::filesystem::path(experiment_file).stem() : std::filesystem::path(output);
  run.weights = weights_folder(common.weights_dir);
  const int signal = run_training(experiment, run);
  write_run_report(run.output);
  return signal == 0 ? 0 : 128 + signal;
}

}  // namespace lpnsr
