#pragma once
// What differs between the trainers: one iteration, its state and its samples. The loop around it (trainers/training_loop.h) is shared.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/state_dict.h"
#include "trainers/data.h"
#include "trainers/experiment.h"

namespace lpnsr {

using Metrics = std::map<std::string, double>;

// Where an iteration stands; `iteration` counts from 0, `epoch` from 1.
struct StepPosition {
  int64_t iteration = 0;
  int64_t epoch = 1;
  double learning_rate = 0;
};

class TrainingMethod {
 public:
  virtual ~TrainingMethod() = default;

  // One iteration on HR and LR pictures in [0,1]. Draws come from streams of (experiment seed, name, iteration), so there is no generator
  // to save.
  virtual Metrics step(const Batch& batch, const StepPosition& position) = 0;

  // Everything that an iteration changes.
  virtual StateDict save() const = 0;
  virtual void load(const StateDict& saved, const std::string& origin) = 0;

  // The product: the moving average where there is one.
  virtual StateDict weights() const = 0;
  virtual std::string weights_name() const = 0;  // "denoiser.safetensors"

  // A picture [3,H,W] in [0,1] that shows how far training is.
  virtual at::Tensor sample(const Batch& batch) = 0;
};

// Builds the networks, loads the frozen ones and LPIPS from the weights folder, and refuses impossible settings before anything runs.
std::unique_ptr<TrainingMethod> make_training_method(const Experiment& experiment, const std::filesystem::path& weights_folder);

}  // namespace lpnsr
