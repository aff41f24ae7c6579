#pragma once
// The loop that all trainers share: batches, rates, metrics, samples, checkpoints, resume, signals.
#include <filesystem>
#include <string>

#include "trainers/experiment.h"

namespace lpnsr {

struct TrainingRun {
  std::filesystem::path output;   // run folder
  std::filesystem::path weights;  // weights folder, for the frozen networks and LPIPS
  std::string resume;             // "": a new run; "auto": from the newest checkpoint if there is one; else a checkpoint's path
};

// Returns 0 when the run is complete, or the number of the signal (SIGINT, SIGTERM) that ended it after a checkpoint was written. The
// product lies in RUN/<name>.safetensors when the run is complete. On the CPU a resumed run ends with the same bytes as one that never
// stopped.
int run_training(const Experiment& experiment, const TrainingRun& run);

}  // namespace lpnsr
