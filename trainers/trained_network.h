#pragma once
// A network with its optimiser and its moving average: what a training checkpoint holds of it.
#include <memory>
#include <string>

#include <torch/nn/module.h>
#include <torch/optim/adamw.h>

#include "core/state_dict.h"
#include "trainers/experiment.h"

namespace lpnsr {

class TrainedNetwork {
 public:
  // `ema_rate` 0: no average. The average starts from the weights as they are now.
  TrainedNetwork(std::shared_ptr<torch::nn::Module> module, const OptimizerOptions& options, double ema_rate);

  void zero_grad() { optimizer_.zero_grad(); }
  // Clips to the global norm (coefficient clip/(norm + 1e-6), at most 1), AdamW at `rate`, then the average. Returns the norm before
  // clipping; throws Error where it is not finite, and changes nothing then.
  double update(double rate);

  StateDict weights() const;  // of the module
  StateDict average() const;  // the moving average, or the weights where there is none

  StateDict save() const;                                        // "weights/…", "ema/…", "adam/…"
  void load(const StateDict& saved, const std::string& origin);  // what save() gave
 private:
  std::shared_ptr<torch::nn::Module> module_;
  torch::optim::AdamW optimizer_;
  double clip_norm_, ema_rate_;
  StateDict ema_;
};

}  // namespace lpnsr
