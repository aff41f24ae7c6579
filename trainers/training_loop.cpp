#include "trainers/training_loop.h"

#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/image.h"
#include "core/log.h"
#include "core/random.h"
#include "core/resize.h"
#include "core/run_folder.h"
#include "trainers/iteration.h"
#include "trainers/loading.h"
#include "trainers/signals.h"
#include "trainers/training_checkpoint.h"
#include "trainers/validation.h"

namespace lpnsr {
namespace {

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

// Rank 0's checkpoint on all ranks, whether or not they reach its disk.
std::optional<TrainingCheckpoint> shared_by_all(std::optional<TrainingCheckpoint> checkpoint, const TrainingMethod& method,
                                                const Ranks& ranks) {
  const at::Tensor place = torch::tensor({checkpoint ? checkpoint->iteration : -1, checkpoint ? checkpoint->samples : 0}, torch::kInt64);
  ranks.copy_from_first(place);
  if (place[0].item<int64_t>() < 0 || ranks.count() == 1) return checkpoint;
  if (!checkpoint) checkpoint.emplace();
  checkpoint->iteration = place[0].item<int64_t>();
  checkpoint->samples = place[1].item<int64_t>();
  for (const auto& [key, like] : method.save().with_prefix("method/")) {
    at::Tensor tensor = torch::empty(like.sizes(), like.options().device(c10::kCPU));
    if (ranks.first()) tensor.copy_(checkpoint->state.at(key));
    ranks.copy_from_first(tensor);
    if (!ranks.first()) checkpoint->state.add(key, tensor);
  }
  return checkpoint;
}

class TrainingLoop {
 public:
  TrainingLoop(const Experiment& experiment, const TrainingRun& run);
  int run();

 private:
  void iterate();
  void handle(const std::string& fault);
  void record(Metrics metrics, const StepPosition& position);
  void show_samples();
  void validate();
  void write_checkpoint();

  const Ranks& ranks() const { return run_.placement.ranks; }
  const TrainingOptions& training() const { return experiment_.training; }
  uint64_t seed() const { return static_cast<uint64_t>(experiment_.seed); }
  bool is_time_for(int64_t interval) const { return iteration_ % interval == 0 || iteration_ == training().iterations; }

  Experiment experiment_;
  TrainingRun run_;
  std::string config_;
  std::unique_ptr<TrainingMethod> method_;
  std::unique_ptr<TrainingLoader> loader_;
  std::optional<Batch> sample_batch_;
  std::optional<RunFolder> folder_;   // rank 0's
  std::optional<Progress> progress_;  // rank 0's
  Validation validation_;
  MetricMeans means_;
  int64_t iteration_ = 0, epoch_length_ = 1;
  std::optional<int64_t> rolled_back_;  // the iteration after the last return to a checkpoint
  int signal_ = 0;                      // that some rank received
};

TrainingLoop::TrainingLoop(const Experiment& experiment, const TrainingRun& run)
    : experiment_(experiment), run_(run), config_(write_config(fields_of(experiment_))), validation_(experiment, run) {
  part_size(training(), ranks().count());  // refuses
  std::optional<TrainingCheckpoint> checkpoint;
  if (ranks().first()) checkpoint = checkpoint_to_resume(run_);
  if (checkpoint) check_same_run(checkpoint->config, config_, run_.resume == "auto" ? (run_.output / "checkpoints").string() : run_.resume);
  method_ = run_.make_method(experiment_, run_);
  checkpoint = shared_by_all(std::move(checkpoint), *method_, ranks());
  if (checkpoint) {
    method_->load(checkpoint->state.below("method/"), run_.resume);
    means_.load(checkpoint->state);
    validation_.load(checkpoint->state);
    iteration_ = checkpoint->iteration;
  }

  loader_ = std::make_unique<TrainingLoader>(experiment_.data, experiment_.degradation, stream_seed(seed(), "training data"),
                                             training().batch_size, checkpoint ? checkpoint->samples : 0,
                                             TrainingLoader::Share{ranks().rank(), ranks().count()});
  epoch_length_ = training().epoch_length > 0 ? training().epoch_length : std::max<int64_t>(1, loader_->pictures() / training().batch_size);
  if (!ranks().first()) return;
  if (training().sample_pictures > 0) {
    DataOptions shown = experiment_.data;
    shown.pair_pool = 0;
    TrainingLoader pictures(shown, experiment_.degradation, stream_seed(seed(), "sample pictures"), training().sample_pictures);
    sample_batch_ = on_device(pictures.next(), run_.placement.device);
  }
  folder_.emplace(run_.output, config_, iteration_);
  log_info("{} {} on {} pictures, {} iterations of {} in epochs of {}, {} process(es), run folder {}", checkpoint ? "resuming" : "training",
           experiment_.trainer, loader_->pictures(), training().iterations, training().batch_size, epoch_length_, ranks().count(),
           run_.output.string());
  progress_.emplace("training " + experiment_.trainer, training().iterations, iteration_);
}

int TrainingLoop::run() {
  const SignalScope signals(SignalScope::Second::ends_the_program);  // the first one ends the run after the current iteration
  while (iteration_ < training().iterations) {
    iterate();
    if (signal_ != 0 && iteration_ < training().iterations) {
      log_warning("signal {}: checkpoint written after iteration {}; go on with --resume auto", signal_, iteration_);
      return signal_;
    }
  }
  if (progress_) progress_->finish();
  if (!ranks().first()) return 0;
  const auto product = folder_->path() / method_->weights_name();
  write_safetensors(product, method_->weights(), {{"experiment", experiment_.trainer}});
  log_info("wrote {}", product.string());
  return 0;
}

void TrainingLoop::iterate() {
  const Batch batch = on_device(loader_->next(), run_.placement.device);
  torch::manual_seed(stream_seed(seed(), "layers", {static_cast<uint64_t>(iteration_)}));  // dropout, where a network has it
  const StepPosition position{iteration_, iteration_ / epoch_length_ + 1,
                              learning_rate_at(experiment_.optimizer.learning_rate, iteration_, training().iterations, epoch_length_)};
  IterationResult result =
      run_iteration(*method_, parts_of(batch, training().parts, ranks()), position, ranks(), [] { return SignalScope::received() != 0; });
  ++iteration_;
  // All ranks stop where one was told to.
  if (result.stop || (ranks().count() == 1 && SignalScope::received() != 0)) {
    signal_ = SignalScope::received() != 0 ? SignalScope::received() : SIGTERM;
  }
  if (!result.fault.empty()) {
    handle(result.fault);
    result.metrics = {{"left_out", 1.0}};
  }
  record(result.metrics, position);
  if (is_time_for(training().sample_every)) show_samples();
  if (validation_.due(iteration_)) validate();
  if (is_time_for(training().checkpoint_every) || signal_ != 0) write_checkpoint();
}

void TrainingLoop::handle(const std::string& fault) {
  const std::string what = fmt::format("iteration {}: {}", iteration_, fault);
  if (training().on_not_finite == "skip") {
    log_warning("{}; no weight was changed, the iteration is left out", what);
    return;
  }
  if (training().on_not_finite == "roll_back") {
    std::optional<TrainingCheckpoint> checkpoint;
    if (ranks().first()) checkpoint = newest_training_checkpoint(folder_->checkpoints());
    checkpoint = shared_by_all(std::move(checkpoint), *method_, ranks());
    // Twice without a checkpoint in between would go on for ever.
    if (checkpoint && rolled_back_ != checkpoint->iteration) {
      log_warning("{}; back to the weights of iteration {}, on with the pictures that follow", what, checkpoint->iteration);
      method_->load(checkpoint->state.below("method/"), "checkpoint");
      rolled_back_ = checkpoint->iteration;
      return;
    }
  }
  throw Error(
      fmt::format("{}; no weight was changed, training stops\n"
                  "  resume from the last checkpoint, with a lower optimizer.learning_rate.value or training.on_not_finite = "
                  "\"skip\" or \"roll_back\"",
                  what));
}

void TrainingLoop::record(Metrics metrics, const StepPosition& position) {
  means_.add(metrics);
  if (is_time_for(training().log_every)) {
    Metrics line = means_.take();
    line["learning_rate"] = position.learning_rate;
    line["epoch"] = static_cast<double>(position.epoch);
    if (folder_) folder_->metrics(iteration_, line);
  }
  const auto total = metrics.find("total");
  if (progress_) progress_->advance(1, total == metrics.end() ? "" : fmt::format("loss {:.4f}", total->second));
}

void TrainingLoop::show_samples() {
  if (!sample_batch_) return;
  const torch::NoGradGuard no_grad;
  const at::Tensor &hr = sample_batch_->hr, &lr = sample_batch_->lr, restored = method_->restored(*sample_batch_);
  const at::Tensor bicubic = resize_bicubic(lr, hr.size(2), hr.size(3)).clamp(0, 1);
  std::vector<at::Tensor> cells;
  for (int64_t i = 0; i < hr.size(0); ++i) cells.insert(cells.end(), {bicubic[i].cpu(), restored[i].cpu(), hr[i].cpu()});
  folder_->sample(iteration_, experiment_.trainer, image_grid(cells, 3));
}

void TrainingLoop::validate() {
  const Metrics metrics = validation_.measure(*method_);
  const bool best = validation_.improves(metrics);
  if (!folder_) return;
  folder_->metrics(iteration_, metrics);
  if (best)
    write_safetensors(folder_->path() / ("best-" + method_->weights_name()), method_->weights(), {{"experiment", experiment_.trainer}});
}

void TrainingLoop::write_checkpoint() {
  if (!folder_) return;
  TrainingCheckpoint now{iteration_, loader_->position(), config_, method_->save().with_prefix("method/")};
  means_.save(now.state);
  validation_.save(now.state);
  write_training_checkpoint(folder_->checkpoints(), now, training().keep_checkpoints);
}

}  // namespace

std::unique_ptr<TrainingMethod> named_method(const Experiment& experiment, const TrainingRun& run) {
  NetworkSource source(run.weights, run.placement.device);
  return make_training_method(experiment, source, run.placement);
}

int run_training(const Experiment& experiment, const TrainingRun& run) { return TrainingLoop(experiment, run).run(); }

}  // namespace lpnsr
