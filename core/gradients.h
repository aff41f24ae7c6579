#pragma once
#include <algorithm>
#include <initializer_list>

#include <ATen/core/Tensor.h>
#include <torch/utils.h>

namespace lpnsr {

// Whether autograd records what is made of these; some may be undefined.
inline bool wants_gradient(std::initializer_list<at::Tensor> tensors) {
  return torch::GradMode::is_enabled() &&
         std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& t) { return t.defined() && t.requires_grad(); });
}

}  // namespace lpnsr
