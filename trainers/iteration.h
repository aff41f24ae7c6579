#pragma once
// One iteration of any trainer: losses and gradients of all parts, agreement that they are finite, update.
#include <functional>
#include <string>
#include <vector>

#include "trainers/method.h"

namespace lpnsr {

struct IterationResult {
  bool stop = false;  // some rank was asked to
  Metrics metrics;    // the same on all ranks
  std::string fault;  // not empty where a loss or gradient was not finite on some rank: no weight was touched then
};

// `parts` are this rank's. The update is left out without a fault where float16 overflowed (metric "overflow"). `asked_to_stop` is looked
// at when the ranks exchange the metrics, which is the iteration's only exchange besides the gradients'.
IterationResult run_iteration(TrainingMethod& method, const std::vector<Part>& parts, const StepPosition& position, const Ranks& ranks,
                              const std::function<bool()>& asked_to_stop = {});

// A batch as the only part, for one rank.
Metrics run_iteration(TrainingMethod& method, const Batch& batch, const StepPosition& position);

}  // namespace lpnsr
