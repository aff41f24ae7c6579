#pragma once
// Group normalisation, with SiLU behind it where wanted: on channels-last maps of the CPU in two passes over memory instead of five, with
// moments taken in double precision (LibTorch's kernel for that layout loses digits). Elsewhere LibTorch's operators.
#include <ATen/core/Tensor.h>

#include "core/winograd.h"

namespace lpnsr {

struct GroupNormOptions {
  int64_t groups = 32;
  double eps = 1e-5;
  bool silu = false;  // of the result
};

// x [N,C,H,W]; weight and bias [C], or [N,C] where they differ from picture to picture (a modulation). With gradients in all three.
at::Tensor group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const GroupNormOptions& options);

// The same as scale and shift of each picture and channel, for what reads x next. Takes what kernels_fit says; no gradients.
NormalisedSilu group_norm_affine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const GroupNormOptions& options);

}  // namespace lpnsr
