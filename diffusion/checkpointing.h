#pragma once
// Activation checkpointing: nothing of what `compute` makes is kept for the backward pass, which runs it a second time instead.
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// What a UNet computes again in the backward pass: its attention blocks (as the published trainer does with the predictor's), or all
// blocks.
enum class Recomputed { none, attention, all };
// Throws UsageError for another name than these.
Recomputed parse_recomputed(const std::string& name);
// Of that, what a frozen network recomputes: as published, its attention blocks keep what they make.
Recomputed of_frozen(Recomputed what);

using TensorFunction = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

// compute(inputs) with the gradients of `inputs` and of `parameters`: every tensor inside `compute` that needs a gradient has to be in one
// of the two lists. `draws` says that `compute` uses the default random generator (dropout), which the second run then finds in the same
// state. Autocast is as it was in the first run. Where no gradient is wanted this is just compute(inputs). No second derivatives.
at::Tensor checkpoint(const TensorFunction& compute, const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& parameters,
                      bool draws = false);

}  // namespace lpnsr
