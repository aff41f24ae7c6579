#pragma once
#include <ATen/core/Tensor.h>

namespace lpnsr {

// Mean absolute difference (the first term of Eq. 12).
at::Tensor l1_loss(const at::Tensor& image, const at::Tensor& reference);

}  // namespace lpnsr
