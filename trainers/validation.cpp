#include "trainers/validation.h"

#include <algorithm>
#include <limits>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/random.h"
#include "trainers/loading.h"

namespace lpnsr {

void check_validation(const ValidationOptions& options, const std::vector<Score>& scores) {
  if (options.folders.empty()) return;
  std::vector<std::string> names;
  for (const Score& score : scores) names.push_back(score.name);
  if (std::find(names.begin(), names.end(), options.best) != names.end()) return;
  throw UsageError(fmt::format("validation.best: '{}' is none of validation.metrics ({}){}", options.best, fmt::join(names, ", "),
                               did_you_mean(options.best, names)));
}

Validation::Validation(const Experiment& experiment, const TrainingRun& run)
    : options_(experiment.validation),
      iterations_(experiment.training.iterations),
      placement_(run.placement),
      scores_(run.scores),
      best_(-std::numeric_limits<double>::infinity()) {
  if (options_.folders.empty()) return;
  check_validation(options_, scores_);
  DataOptions held_out = experiment.data;
  held_out.folders = options_.folders;
  held_out.lists.clear();
  held_out.pair_pool = 0;
  held_out.flip = held_out.rotate = held_out.cache = false;
  const Ranks& ranks = placement_.ranks;
  TrainingLoader loader(held_out, experiment.degradation, stream_seed(static_cast<uint64_t>(experiment.seed), "validation"), 1);
  const int64_t count = options_.pictures > 0 ? std::min(options_.pictures, loader.pictures()) : loader.pictures();
  for (int64_t i = 0; i < count; ++i) {
    Batch picture = loader.next();
    if (i % ranks.count() == ranks.rank()) pictures_.push_back(std::move(picture));
  }
}

bool Validation::due(int64_t iteration) const {
  return !options_.folders.empty() && (iteration % options_.every == 0 || iteration == iterations_);
}

Metrics Validation::measure(TrainingMethod& method) const {
  const torch::NoGradGuard no_grad;
  Scalars scalars;
  const auto average = method.averaged();
  // A rank without pictures still has to name what the others average.
  for (const Score& score : scores_) scalars.add("val_" + score.name, torch::zeros({}), torch::zeros({}));
  for (const Batch& picture : pictures_) {
    const Batch there = on_device(picture, placement_.device);
    const at::Tensor restored = method.restored(there).cpu();
    for (const Score& score : scores_) {
      scalars.add("val_" + score.name, torch::tensor(score.of(restored[0], picture.hr[0]), torch::kFloat64), torch::ones({}));
    }
  }
  return scalars.of_all(placement_.ranks);
}

bool Validation::improves(const Metrics& metrics) {
  const auto chooses = std::find_if(scores_.begin(), scores_.end(), [this](const Score& score) { return score.name == options_.best; });
  const auto found = metrics.find("val_" + options_.best);
  if (found == metrics.end()) return false;
  const double value = chooses->higher_is_better ? found->second : -found->second;
  if (!(value > best_)) return false;
  best_ = value;
  return true;
}

void Validation::save(StateDict& state) const { state.add("validation_best", torch::tensor(best_, torch::kFloat64)); }

void Validation::load(const StateDict& state) {
  if (const at::Tensor* best = state.find("validation_best")) best_ = best->item<double>();
}

}  // namespace lpnsr
