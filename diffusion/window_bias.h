#pragma once
// What is added to the scores of attention windows: the learned bias of the tokens' relative places, and the masks of shifted windows.
#include "core/window_attention.h"

namespace lpnsr {

// Masks [tokens, tokens] of the four kinds of windows in WindowBias; undefined where nothing is masked.
using WindowMasks = std::array<at::Tensor, 4>;

class RelativeBias {
 public:
  // table [(2 window - 1)^2, heads], index int64 [tokens, tokens] into its rows. Made once and kept while the table cannot have changed and
  // no gradient flows into it.
  WindowBias of(const at::Tensor& table, const at::Tensor& index, const WindowMasks& masks, c10::ScalarType type);
  void forget() { data_ = nullptr; }

 private:
  const void* data_ = nullptr;
  int64_t version_ = 0;
  c10::ScalarType type_ = c10::ScalarType::Undefined;
  WindowBias kept_;
};

}  // namespace lpnsr
