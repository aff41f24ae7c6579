#pragma once
// 3x3 convolutions of stride 1 and padding 1 on the CPU by Winograd's forms, core/kernels/winograd.h: less than half the time of a direct
// convolution at the cores' peak. Float32 maps by F(4x4, 3x3); maps in bfloat16 by the form with the least work, F(6x6, 3x3) in float32 or,
// where the processor has it, F(2x2, 3x3) with products in bfloat16. The same bytes for any number of threads.
#include <optional>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// What becomes of x before the convolution: SiLU(x scale + shift); [N,C] float32 each.
struct NormalisedSilu {
  at::Tensor scale, shift;
};

struct WinogradOptions {
  std::optional<NormalisedSilu> before;
  at::Tensor residual;  // is added to the result, of its shape; undefined: nothing
  bool twice = false;   // the input is enlarged twice by repetition first
};

// Whether winograd_convolution takes x [N,C,H,W] and weight [K,C,3,3], and is faster than LibTorch's convolution: float32 or bfloat16 on a
// CPU with AVX2 or AVX-512, channels that fill the vectors, and a map of at least 16 tiles.
bool winograd_fits(const at::Tensor& x, const at::Tensor& weight, bool twice = false);

// [N,K,H,W] (2H x 2W for `twice`), channels-last, in x's type; `bias` [K] may be undefined. No gradients.
at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const WinogradOptions& options = {});

// The gradient in the input [N,C,H,W] of a convolution with `weight` [K,C,3,3], given that in its result [N,K,H,W].
at::Tensor winograd_input_gradient(const at::Tensor& gradient, const at::Tensor& weight);

}  // namespace lpnsr
