#pragma once
// What core/kernels takes and makes.
#include <ATen/core/Tensor.h>

#include "core/kernels/kernels.h"

namespace lpnsr {

// Whether the kernels take x [N,C,H,W]: on the CPU, float32 or bfloat16, whole vectors of channels.
bool kernels_fit(const at::Tensor& x);

at::Tensor channels_last(const at::Tensor& x);  // x itself where it is that already

// Of a dense channels-last tensor, which must outlive it.
kernels::Map map_of(const at::Tensor& x);

// A layer's few numbers as float32, dense: `values` itself where it is that already. By a plain loop where LibTorch's conversion would take
// longer than what they are for.
at::Tensor as_floats(const at::Tensor& values);

}  // namespace lpnsr
