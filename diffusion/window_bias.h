#pragma once
// What is added to the scores of attention windows: the learned bias of the tokens' relative places, and the masks of shifted windows.
#include "core/kept.h"
#include "core/window_attention.h"

namespace lpnsr {

// Masks [tokens, tokens] of the four kinds of windows in WindowBias; undefined where nothing is masked.
using WindowMasks = std::array<at::Tensor, 4>;

// table [(2 window - 1)^2, heads], index int64 [tokens, tokens] into its rows. Gradients flow into the table.
WindowBias window_bias(const at::Tensor& table, const at::Tensor& index, const WindowMasks& masks, c10::ScalarType type);

// The type in which attention takes it where no gradient is wanted: float32 for the kernel, else the table's.
c10::ScalarType window_bias_type(const at::Tensor& table);

using KeptBias = Kept<c10::ScalarType, WindowBias>;

}  // namespace lpnsr
