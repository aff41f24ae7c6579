#include "diffusion/window_bias.h"

#include "core/kernels/kernels.h"

namespace lpnsr {

WindowBias window_bias(const at::Tensor& table, const at::Tensor& index, const WindowMasks& masks, c10::ScalarType type) {
  const int64_t tokens = index.size(0);
  const auto plain = table.index_select(0, index.flatten()).t().reshape({table.size(1), tokens, tokens}).to(type).contiguous();
  WindowBias bias;
  for (size_t i = 0; i < bias.size(); ++i) {
    size_t same = 0;  // kinds with one mask share one bias
    while (same < i && !masks[same].is_same(masks[i])) ++same;
    bias[i] = same < i ? bias[same] : masks[i].defined() ? plain + masks[i].to(type) : plain;
  }
  return bias;
}

c10::ScalarType window_bias_type(const at::Tensor& table) {
  return kernels::kernels() != nullptr && table.is_cpu() ? c10::kFloat : table.scalar_type();
}

}  // namespace lpnsr
