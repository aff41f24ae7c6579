#include "core/window_attention.h"

#include <cmath>

#include <ATen/Parallel.h>

#include "core/channels_last.h"

namespace lpnsr {

bool window_attention_fits(const at::Tensor& qkv, const Windows& w) {
  const auto* k = kernels::kernels();
  if (k == nullptr || !qkv.device().is_cpu() || qkv.dim() != 4) return false;
  if (qkv.scalar_type() != at::kFloat && qkv.scalar_type() != at::kBFloat16) return false;
  const int64_t tokens = w.window * w.window, depth = qkv.size(3) / (3 * w.heads);
  return tokens <= kernels::kMostWindowTokens && tokens % k->filters == 0 && depth <= kernels::kMostHeadChannels;
}

at::Tensor window_attention(const at::Tensor& qkv, const Windows& w, const WindowBias& bias) {
  const auto dense = qkv.contiguous();
  const int64_t channels = qkv.size(3) / 3;
  auto result = at::empty({qkv.size(0), qkv.size(1), qkv.size(2), channels}, qkv.options());
  const auto map = [](const at::Tensor& t) {
    return kernels::Map{
        const_cast<void*>(t.const_data_ptr()), t.scalar_type() == at::kBFloat16, t.size(0), t.size(1), t.size(2), t.size(3)};
  };
  kernels::WindowAttention options{.window = w.window, .shift = w.shift, .heads = w.heads};
  options.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(channels / w.heads)));
  WindowBias dense_bias;
  for (size_t i = 0; i < bias.size(); ++i) {
    dense_bias[i] = bias[i].contiguous();
    options.bias[i] = dense_bias[i].const_data_ptr<float>();
  }
  const auto from = map(dense), to = map(result);
  const int64_t windows = qkv.size(0) * (qkv.size(1) / w.window) * (qkv.size(2) / w.window);
  at::parallel_for(0, windows * w.heads, 1,
                   [&](int64_t first, int64_t last) { kernels::kernels()->attend(from, options, first, last, to); });
  return result;
}

}  // namespace lpnsr
