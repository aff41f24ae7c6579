#pragma once
// The loop that all trainers share: batches, rates, metrics, samples, validation, checkpoints, resume, signals, ranks.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "trainers/experiment.h"
#include "trainers/method.h"

namespace lpnsr {

// A metric of a restored picture against the true one, both [3,H,W] in [0,1]: the metrics live in eval/, which is not known here.
struct Score {
  std::string name;
  bool higher_is_better = true;
  std::function<double(const at::Tensor& restored, const at::Tensor& truth)> of;
};

struct TrainingRun;
// What the experiment names, with weights from run.weights.
std::unique_ptr<TrainingMethod> named_method(const Experiment& experiment, const TrainingRun& run);

struct TrainingRun {
  std::filesystem::path output;   // run folder
  std::filesystem::path weights;  // weights folder, for the frozen networks and LPIPS
  std::string resume;             // "": a new run; "auto": from the newest checkpoint if there is one; else a checkpoint's path
  Placement placement = {};
  std::vector<Score> scores = {};  // for validation
  std::function<std::unique_ptr<TrainingMethod>(const Experiment&, const TrainingRun&)> make_method = named_method;
};

// Returns 0 when the run is complete, or the number of the signal (SIGINT, SIGTERM) that ended it after a checkpoint was written. The
// product lies in RUN/<name>.safetensors when the run is complete. On the CPU a resumed run ends with the same bytes as one that never
// stopped.
int run_training(const Experiment& experiment, const TrainingRun& run);

}  // namespace lpnsr
