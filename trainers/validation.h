#pragma once
// Held-out pictures, degraded once and for all, and how well the moving average of the weights restores them.
#include "trainers/training_loop.h"

namespace lpnsr {

// Throws UsageError where validation.best is none of `scores`.
void check_validation(const ValidationOptions& options, const std::vector<Score>& scores);

class Validation {
 public:
  Validation(const Experiment& experiment, const TrainingRun& run);
  bool due(int64_t iteration) const;
  // Means over all pictures, "val_psnr" and so on; the ranks share the pictures.
  Metrics measure(TrainingMethod& method) const;
  // Whether the metric that chooses is better than at every earlier call.
  bool improves(const Metrics& metrics);

  void save(StateDict& state) const;
  void load(const StateDict& state);

 private:
  ValidationOptions options_;
  int64_t iterations_;
  Placement placement_;
  std::vector<Score> scores_;
  std::vector<Batch> pictures_;  // of this rank, one each
  double best_;
};

}  // namespace lpnsr
