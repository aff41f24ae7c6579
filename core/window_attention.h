#pragma once
// Attention within the windows of a map, on the CPU, straight from the map: no partition, no roll, no copies.
#include <array>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// Windows of `window` x `window` pixels that start `shift` pixels down and right of the corner and wrap around.
struct Windows {
  int64_t window = 0, shift = 0, heads = 0;
};

// Relative-position bias plus mask, [heads, tokens, tokens] float32 each, of windows that are: 0 neither in the last column nor row,
// 1 in the last column, 2 in the last row, 3 in both.
using WindowBias = std::array<at::Tensor, 4>;

// qkv [N,H,W,3C]: float32 or bfloat16 on a CPU with vectors, at most 64 tokens a window and 64 channels a head.
bool window_attention_fits(const at::Tensor& qkv, const Windows& windows);

// softmax(q k^T / sqrt(C / heads) + bias) v, [N,H,W,C]; the channels of qkv are (q, k, v) by heads by C / heads. The gradient in the bias,
// which is that of what all four kinds have in common, goes to bias[0].
at::Tensor window_attention(const at::Tensor& qkv, const Windows& windows, const WindowBias& bias);

}  // namespace lpnsr
