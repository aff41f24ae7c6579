#pragma once
// Work on a GPU recorded once and started as a whole from then on: thousands of small launches become one.
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// Runs `work`, which it does not keep, on the device for its effect, once, and returns what has the same effect again: the same operators
// on the same memory, whatever lies there by then. `work` must not wait for the device, nor depend on what the host knows only at that
// time. Throws c10::Error where it cannot be recorded; its effect is there all the same.
using GraphRecorder = std::function<std::function<void()>(c10::Device device, const std::function<void()>& work)>;

// By CUDA graphs. Those of a device share their memory: a result has to be copied before the next graph runs. Empty in a build without
// CUDA.
GraphRecorder cuda_graph_recorder();

// What a graph reads, in memory of its own; some may be undefined.
class GraphInputs {
 public:
  explicit GraphInputs(const std::vector<at::Tensor>& like);
  bool fit(const std::vector<at::Tensor>& inputs) const;  // the same shapes, types and devices
  void set(const std::vector<at::Tensor>& inputs) const;
  const std::vector<at::Tensor>& tensors() const { return tensors_; }

 private:
  std::vector<at::Tensor> tensors_;
};

// |a - b| of all tensors together, in at least float32.
double distance(at::TensorList a, at::TensorList b);
// The largest distance between what a graph did and what the work itself did, as a share of that: no more than another order of sums may
// be between them.
constexpr double kGraphTolerance = 1e-2;

}  // namespace lpnsr
