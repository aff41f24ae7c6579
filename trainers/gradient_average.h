#pragma once
// Data parallelism: the mean of the ranks' gradients.
#include <memory>
#include <vector>

#include "trainers/ranks.h"

namespace lpnsr {

// Whether each backward pass reaches all parameters. Where it does not and that is not said, a bucket never fills and the ranks part.
enum class Gradients { all, some };

// When gradients are exchanged: bucket by bucket while the backward pass still runs (LibTorch's Reducer), or all after it, which asks
// nothing of the pass: it may be a graph's.
enum class Exchange { overlapped, afterwards };

class GradientAverage {
 public:
  GradientAverage(std::vector<at::Tensor> parameters, const Ranks& ranks, Gradients gradients = Gradients::all,
                  Exchange exchange = Exchange::overlapped);
  ~GradientAverage();
  // Adds the gradients of `loss` to those of the parameters; `last` of those that are averaged together.
  void backward(const at::Tensor& loss, bool last);
  // After the last one: all ranks' gradients are their mean. All ranks have to come; for Exchange::afterwards with all gradients defined.
  void complete();

 private:
  struct Reducing;
  std::unique_ptr<Reducing> reducing_;  // null for one rank
};

}  // namespace lpnsr
