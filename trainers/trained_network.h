#pragma once
// A network with its optimiser and its moving average: what a training checkpoint holds of it.
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include "core/state_dict.h"
#include "trainers/experiment.h"
#include "trainers/gradient_average.h"
#include "trainers/loss_scaler.h"
#include "trainers/placement.h"

namespace lpnsr {

class TrainedNetwork {
 public:
  // The module lies on its device. `ema_rate` 0: no average; it starts from the weights as they are now. All ranks get rank 0's weights.
  TrainedNetwork(std::shared_ptr<torch::nn::Module> module, const Experiment& experiment, double ema_rate, const Placement& placement = {},
                 Gradients gradients = Gradients::all);

  void zero_grad();
  // Adds the gradients of loss / parts; `last` of the parts.
  void backward(const at::Tensor& loss, int64_t parts, bool last);
  void complete_gradients() { average_over_ranks_.complete(); }  // after the last part: they are the mean over the ranks
  // What backward passes change: the gradients, as far as there are any, and the buffers.
  std::vector<at::Tensor> changed_by_passes() const;
  // Of all gradients together, without the loss scale; the same on all ranks.
  double gradient_norm() const;
  // Clips to the global norm (coefficient clip/(norm + 1e-6), at most 1), AdamW at `rate`, then the average. `norm` is finite.
  void update(double rate, double norm);
  int64_t updates() const { return updates_; }  // made since it is here
  LossScaler& scaler() { return scaler_; }

  StateDict weights() const;  // of the module
  StateDict average() const;  // the moving average, or the weights where there is none

  void swap_average();

  int64_t parameters() const;  // numbers that are trained
  // Bytes that it holds: weights with buffers, their gradients, AdamW's moments, the moving average.
  struct Bytes {
    int64_t weights = 0, gradients = 0, optimizer = 0, average = 0;
  };
  Bytes bytes() const;

  StateDict save() const;                                        // "weights/…", "ema/…", "adam/…", "loss_scale"
  void load(const StateDict& saved, const std::string& origin);  // what save() gave
 private:
  struct AdamState {
    at::Tensor step, first_moment, second_moment;
  };
  AdamState& adam_of(size_t i) const;

  std::shared_ptr<torch::nn::Module> module_;
  OptimizerOptions options_;
  double ema_rate_;
  std::vector<std::string> names_;  // of the parameters
  std::vector<at::Tensor> parameters_;
  mutable std::vector<AdamState> adam_;  // of each parameter
  // With graphs, which add to the memory that they know: there from the start, and set to zero where it lies.
  bool gradients_stay_;
  GradientAverage average_over_ranks_;
  LossScaler scaler_;
  int64_t updates_ = 0;
  at::Tensor loss_scale_;  // the scaler's, on the device: graphs read it there
  StateDict ema_;
};

// While it lives the network's weights and its moving average have changed places; with no average nothing happens.
class AverageScope {
 public:
  explicit AverageScope(TrainedNetwork& network) : network_(network) { network_.swap_average(); }
  ~AverageScope() { network_.swap_average(); }
  AverageScope(const AverageScope&) = delete;
  AverageScope& operator=(const AverageScope&) = delete;

 private:
  TrainedNetwork& network_;
};

}  // namespace lpnsr
