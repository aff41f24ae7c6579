#include "diffusion/window_bias.h"

namespace lpnsr {
namespace {

WindowBias make_bias(const at::Tensor& table, const at::Tensor& index, const WindowMasks& masks, c10::ScalarType type) {
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

}  // namespace

WindowBias RelativeBias::of(const at::Tensor& table, const at::Tensor& index, const WindowMasks& masks, c10::ScalarType type) {
  if ((torch::GradMode::is_enabled() && table.requires_grad()) || table.is_inference()) return make_bias(table, index, masks, type);
  const auto version = static_cast<int64_t>(table._version());
  if (data_ != table.const_data_ptr() || version_ != version || type_ != type) {
    const c10::InferenceMode usable_in_every_mode(false);
    const torch::NoGradGuard no_gradients;
    kept_ = make_bias(table, index, masks, type);
    data_ = table.const_data_ptr();
    version_ = version;
    type_ = type;
  }
  return kept_;
}

}  // namespace lpnsr
