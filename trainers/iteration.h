#pragma once
// One iteration of any trainer: losses and gradients of all parts, agreement that they are finite, update.
#include <string>
#include <vector>

#include "trainers/method.h"

namespace lpnsr {

struct IterationResult {
  Metrics metrics;    // the same on all ranks
  std::string fault;  // not empty where a loss or gradient was not finite on some rank: no weight was touched then
};

// `parts` are this rank's. The update is left out without a fault where float16 overflowed (metric "overflow").
IterationResult run_iteration(TrainingMethod& method, const std::vector<Part>& parts, const StepPosition& position, const Ranks& ranks);

// A batch as the only part, for one rank.
Metrics run_iteration(TrainingMethod& method, const Batch& batch, const StepPosition& position);

}  // namespace lpnsr
