#pragma once
// Data parallelism: the mean of the ranks' gradients, exchanged bucket by bucket while the backward pass still runs (LibTorch's Reducer).
#include <memory>
#include <vector>

#include "trainers/ranks.h"

namespace lpnsr {

// Whether each backward pass reaches all parameters. Where it does not and that is not said, a bucket never fills and the ranks part.
enum class Gradients { all, some };

class GradientAverage {
 public:
  GradientAverage(std::vector<at::Tensor> parameters, const Ranks& ranks, Gradients gradients = Gradients::all);
  ~GradientAverage();
  // Adds the gradients of `loss` to those of the parameters. With `last` all ranks' gradients become their mean: all have to come.
  void backward(const at::Tensor& loss, bool last);

 private:
  struct Reducing;
  std::unique_ptr<Reducing> reducing_;  // null for one rank
};

}  // namespace lpnsr
