#include "trainers/training_loop.h"

#include <csignal>

#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/random.h"
#include "core/run_folder.h"
#include "trainers/method.h"
#include "trainers/training_checkpoint.h"

namespace lpnsr {
namespace {

volatile std::sig_atomic_t received_signal = 0;
extern "C" void remember_signal(int signal) { received_signal = signal; }

// While it lives SIGINT and SIGTERM ask the loop to end after the current iteration; a second one ends the program at once.
class SignalScope {
 public:
  SignalScope() {
    received_signal = 0;
    struct sigaction action {};
    action.sa_handler = remember_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &interrupt_);
    sigaction(SIGTERM, &action, &terminate_);
  }
  ~SignalScope() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
  }
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

 private:
  struct sigaction interrupt_ {
  }, terminate_{};
};

// Means of the metrics since the last line; part of the checkpoint, so that a resumed run writes the same lines.
class MetricMeans {
 public:
  void add(const Metrics& metrics) {
    for (const auto& [name, value] : metrics) {
      sums_[name].first += value;
      sums_[name].second += 1.0;
    }
  }
  Metrics take() {
    Metrics means;
    for (const auto& [name, sum] : sums_) means[name] = sum.first / sum.second;
    sums_.clear();
    return means;
  }
  void save(StateDict& state) const {
    for (const auto& [name, sum] : sums_) state.add("metric_sums/" + name, torch::tensor({sum.first, sum.second}, torch::kFloat64));
  }
  void load(const StateDict& state) {
    for (const auto& [name, sum] : state.below("metric_sums/")) sums_[name] = {sum[0].item<double>(), sum[1].item<double>()};
  }

 private:
  std::map<std::string, std::pair<double, double>> sums_;
};

std::optional<TrainingCheckpoint> checkpoint_to_resume(const TrainingRun& run) {
  const auto folder = run.output / "checkpoints";
  if (run.resume == "auto") return newest_training_checkpoint(folder);
  if (!run.resume.empty()) return read_training_checkpoint(run.resume);
  if (std::filesystem::exists(run.output / "metrics.jsonl")) {
    throw UsageError(fmt::format("'{}' already holds a run: go on with --resume auto, or name another --output", run.output.string()));
  }
  return std::nullopt;
}

void check_finite(const Metrics& metrics, int64_t iteration) {
  for (const auto& [name, value] : metrics) {
    if (!std::isfinite(value)) {
      throw Error(fmt::format(
          "iteration {}: {} is {}; training stops\n  resume from the last checkpoint with a lower optimizer.learning_rate.value",
          iteration + 1, name, value));
    }
  }
}

}  // namespace

int run_training(const Experiment& experiment, const TrainingRun& run) {
  Experiment written = experiment;
  const std::string config = write_config(fields_of(written));
  const auto seed = static_cast<uint64_t>(experiment.seed);
  const TrainingOptions& training = experiment.training;

  const auto checkpoint = checkpoint_to_resume(run);
  if (checkpoint) check_same_run(checkpoint->config, config, run.resume == "auto" ? (run.output / "checkpoints").string() : run.resume);
  const std::unique_ptr<TrainingMethod> method = make_training_method(experiment, run.weights);
  MetricMeans means;
  int64_t iteration = 0;
  if (checkpoint) {
    method->load(checkpoint->state.below("method/"), run.resume);
    means.load(checkpoint->state);
    iteration = checkpoint->iteration;
  }

  TrainingLoader loader(experiment.data, experiment.degradation, stream_seed(seed, "training data"), training.batch_size,
                        checkpoint ? checkpoint->samples : 0);
  const int64_t epoch_length =
      training.epoch_length > 0 ? training.epoch_length : std::max<int64_t>(1, loader.pictures() / training.batch_size);
  std::optional<Batch> sample_batch;
  if (training.sample_pictures > 0) {
    DataOptions shown = experiment.data;
    shown.pair_pool = 0;
    sample_batch = TrainingLoader(shown, experiment.degradation, stream_seed(seed, "sample pictures"), training.sample_pictures).next();
    degrade_on_device(*sample_batch);
  }

  RunFolder folder(run.output, config, iteration);
  log_info("{} {} on {} pictures, {} iterations of {} in epochs of {}, run folder {}", checkpoint ? "resuming" : "training",
           experiment.trainer, loader.pictures(), training.iterations, training.batch_size, epoch_length, run.output.string());
  const auto write_checkpoint = [&] {
    TrainingCheckpoint now{iteration, loader.position(), config, method->save().with_prefix("method/")};
    means.save(now.state);
    write_training_checkpoint(folder.checkpoints(), now, training.keep_checkpoints);
  };

  const SignalScope signals;
  Progress progress("training " + experiment.trainer, training.iterations, iteration);
  while (iteration < training.iterations) {
    Batch batch = loader.next();
    degrade_on_device(batch);
    torch::manual_seed(stream_seed(seed, "layers", {static_cast<uint64_t>(iteration)}));  // dropout, where a network has it
    const StepPosition position{iteration, iteration / epoch_length + 1,
                                learning_rate_at(experiment.optimizer.learning_rate, iteration, training.iterations, epoch_length)};
    const Metrics metrics = method->step(batch, position);
    check_finite(metrics, iteration);
    means.add(metrics);
    ++iteration;

    if (iteration % training.log_every == 0 || iteration == training.iterations) {
      Metrics line = means.take();
      line["learning_rate"] = position.learning_rate;
      line["epoch"] = static_cast<double>(position.epoch);
      folder.metrics(iteration, line);
    }
    if (sample_batch && (iteration % training.sample_every == 0 || iteration == training.iterations)) {
      folder.sample(iteration, experiment.trainer, method->sample(*sample_batch));
    }
    if (iteration % training.checkpoint_every == 0 || iteration == training.iterations || received_signal != 0) write_checkpoint();
    progress.advance(1, fmt::format("loss {:.4f}", metrics.at("total")));
    if (received_signal != 0 && iteration < training.iterations) {
      log_warning("signal {}: checkpoint written after iteration {}; go on with --resume auto", static_cast<int>(received_signal),
                  iteration);
      return received_signal;
    }
  }
  progress.finish();
  write_safetensors(folder.path() / method->weights_name(), method->weights(), {{"experiment", experiment.trainer}});
  log_info("wrote {}", (folder.path() / method->weights_name()).string());
  return 0;
}

}  // namespace lpnsr
