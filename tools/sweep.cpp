// lpnsr sweep: trains a list of experiments, then evaluates them.
#include <set>

#include <fmt/ranges.h>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "diffusion/system.h"
#include "tools/cached_run.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/file_lock.h"
#include "tools/launch.h"
#include "tools/share.h"
#include "tools/trained_file.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

struct Training {
  std::string row;
  fs::path experiment, product;
  bool done() const { return fs::is_regular_file(product); }
};

// What the rows' own runs make, once each.
std::vector<Training> trainings_of(const TableFile& table, const CacheOptions& options) {
  std::vector<Training> trainings;
  for (const auto& row : table.rows) {
    if (row.experiment.empty()) continue;
    const fs::path experiment = experiment_of(row, table.path, table.overlay, options);
    const auto product = trained_file(load_experiment(experiment));
    if (product) trainings.push_back({row.name, experiment, *product});
  }
  return trainings;
}

struct SweepOptions {
  int64_t processes = 1;
  std::vector<std::string> set;  // keys of the experiments
  CommonOptions common;
};

int train(const Training& training, const SweepOptions& options) {
  Arguments words{"train",    training.experiment.string(), "--output",  training.product.parent_path().string(), "--resume", "auto",
                  "--device", options.common.device,        "--threads", std::to_string(options.common.threads)};
  if (!options.common.weights_dir.empty()) words.insert(words.end(), {"--weights-dir", options.common.weights_dir});
  if (options.common.precision != "fp32") words.insert(words.end(), {"--precision", options.common.precision});
  for (const auto& key : options.set) words.insert(words.end(), {"--set", key});
  return launch(options.processes, words);
}

// A status of 128 and more is a signal: the person wants the sweep to end.
bool interrupted(int status) { return status >= 128; }

// The tables would only say that weights are missing, and how to train them.
void refuse_unfinished(const std::vector<Training>& elsewhere) {
  std::vector<std::string> unfinished;
  for (const auto& training : elsewhere) {
    if (!training.done()) unfinished.push_back(training.row + ": " + training.product.string());
  }
  if (unfinished.empty()) return;
  throw Error(fmt::format("another process is training what the tables need:\n  {}\nthe same command goes on when it has ended",
                          fmt::join(unfinished, "\n  ")));
}

}  // namespace

int run_sweep(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "sweep",
      "Trains the experiments of tables whose weights are the product of their own training, one after the other, then computes "
      "the tables. What is there already is kept, and an interrupted run goes on.",
      "lpnsr sweep 6 --device cuda --processes 8\n"
      "  sbatch --array 0-2 --gres gpu:1 --wrap 'lpnsr sweep 6 --device cuda'");
  SweepOptions options;
  CommonOptions& common = options.common;
  std::vector<std::string> names;
  std::string output;
  bool dry_run = false;
  line.add()("name", po::value(&names)->required()->value_name("NAME"), "tables, as of lpnsr table")(
      "output,o", po::value(&output)->default_value("results")->value_name("DIR"), "of the tables, as of lpnsr table")(
      "processes", po::value(&options.processes)->default_value(1)->value_name("N"),
      "processes that train together; the tasks of a Slurm array share out the experiments by themselves")(
      "train-set", po::value(&options.set)->composing()->value_name("KEY=VALUE"),
      "overrides a key of the experiments while they are trained, as of lpnsr train --set; --set is the tables'")(
      "dry-run", po::bool_switch(&dry_run), "only say what would be trained, and what the tables lack");
  line.positional("name", -1);
  add_common_options(line, common, {"weights-dir", "set", "device", "precision", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  if (options.processes < 1 || options.processes > 1024)
    throw UsageError(fmt::format("--processes {}: 1 to 1024 expected", options.processes));

  const CacheOptions cells{output, weights_folder(common.weights_dir), common.device, common.precision, common.threads};
  std::vector<fs::path> files;
  for (const auto& name : names) files.push_back(find_experiment_file(name, "tables", "table"));
  check_names_of_results(files, "table");
  parse_device(common.device);  // what is impossible is told before days of training
  parse_precision(common.precision);
  if (!dry_run) make_output_folder(output);
  std::vector<Training> trainings;
  std::set<fs::path> products;
  for (const auto& file : files) {
    for (auto& training : trainings_of(read_table_file(file, common.set), cells)) {
      if (products.insert(training.product).second) trainings.push_back(std::move(training));
    }
  }
  const Share share = share_from_environment();
  std::vector<std::string> failures;
  std::vector<Training> elsewhere;
  for (const int64_t i : share.order(static_cast<int64_t>(trainings.size()))) {
    const Training& training = trainings[static_cast<size_t>(i)];
    log_info("training {} of {}, {}: {} {}", i + 1, trainings.size(), training.row, training.product.string(),
             training.done() ? "is there" : "is to be trained");
    if (training.done() || dry_run) continue;
    make_output_folder(training.product.parent_path());
    const FileLock lock(training.product.parent_path() / "sweep.lock");
    if (!lock.held()) {
      log_info("another process trains it");
      elsewhere.push_back(training);
      continue;
    }
    const int status = train(training, options);
    if (interrupted(status)) return status;
    if (status != 0) failures.push_back(fmt::format("{}: training ended with status {}", training.experiment.string(), status));
  }
  if (!failures.empty())
    throw Error(fmt::format("{} of {} trainings failed:\n  {}", failures.size(), trainings.size(), fmt::join(failures, "\n  ")));
  if (!share.alone()) {
    log_info("this part is done; 'lpnsr table {}' computes the tables when all are", fmt::join(names, " "));
    return 0;
  }
  refuse_unfinished(elsewhere);
  return run_table(without_option(without_option(arguments, "processes"), "train-set"));
}

}  // namespace lpnsr
