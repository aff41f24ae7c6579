#include "core/window_attention.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include "core/channels_last.h"
#include "core/gradients.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kWindowsOfATask = 16;  // fixed, so that the bias' gradient does not depend on the number of threads

kernels::Map map_of_pixels(const at::Tensor& t) { return map_of(t.permute({0, 3, 1, 2})); }  // [N,H,W,C], dense

// What the kernels take of it; holds the memory.
struct Dense {
  kernels::WindowAttention options;
  WindowBias bias;

  Dense(const at::Tensor& qkv, const Windows& w, const WindowBias& given) {
    options = {.window = w.window, .shift = w.shift, .heads = w.heads};
    options.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(qkv.size(3) / (3 * w.heads))));
    for (size_t i = 0; i < bias.size(); ++i) {
      bias[i] = given[i].contiguous();
      options.bias[i] = bias[i].const_data_ptr<float>();
    }
  }
};

int64_t windows_in(const at::Tensor& qkv, const Windows& w) { return qkv.size(0) * (qkv.size(1) / w.window) * (qkv.size(2) / w.window); }

// Products of queries and keys, and of their weights and values.
double flops_of(const at::Tensor& qkv, const Windows& w) {
  return 4.0 * static_cast<double>(qkv.numel() / 3) * static_cast<double>(w.window * w.window);
}

at::Tensor attend(const at::Tensor& qkv, const Windows& w, const WindowBias& bias) {
  const auto dense = qkv.contiguous();
  const Dense with(qkv, w, bias);
  auto result = at::empty({qkv.size(0), qkv.size(1), qkv.size(2), qkv.size(3) / 3}, qkv.options().requires_grad(false));
  const auto from = map_of_pixels(dense), to = map_of_pixels(result);
  at::parallel_for(0, windows_in(qkv, w) * w.heads, 1,
                   [&](int64_t first, int64_t last) { kernels::kernels()->attend(from, with.options, first, last, to); });
  note_flops(flops_of(qkv, w));
  return result;
}

struct Gradients {
  at::Tensor qkv, bias;  // bias: [heads, tokens, tokens]
};

Gradients attend_gradients(const at::Tensor& qkv, const at::Tensor& gradient, const Windows& w, const WindowBias& bias, bool of_bias) {
  const auto dense = qkv.contiguous(), given = gradient.to(qkv.scalar_type()).contiguous();
  const Dense with(qkv, w, bias);
  const int64_t windows = windows_in(qkv, w), tasks = (windows + kWindowsOfATask - 1) / kWindowsOfATask, tokens = w.window * w.window;
  Gradients result{at::empty(dense.sizes(), dense.options()), {}};
  const auto sums = of_bias ? at::zeros({tasks, w.heads, tokens, tokens}, at::kFloat) : at::Tensor();
  const auto from = map_of_pixels(dense), map = map_of_pixels(given), to = map_of_pixels(result.qkv);
  at::parallel_for(0, tasks * w.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / w.heads * kWindowsOfATask;
      kernels::kernels()->attend_gradient(from, map, with.options, i % w.heads, first, std::min(windows, first + kWindowsOfATask), to,
                                          of_bias ? sums.data_ptr<float>() + i * tokens * tokens : nullptr);
    }
  });
  if (of_bias) result.bias = sums.sum(0);
  note_flops(2.5 * flops_of(qkv, w));  // the scores are computed again
  return result;
}

class WindowAttentionFunction : public torch::autograd::Function<WindowAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const at::Tensor& learned, const Windows& w,
                            const WindowBias& bias) {
    ctx->save_for_backward({qkv, learned, bias[1].detach(), bias[2].detach(), bias[3].detach()});
    ctx->saved_data["window"] = w.window;
    ctx->saved_data["shift"] = w.shift;
    ctx->saved_data["heads"] = w.heads;
    return attend(qkv, w, bias);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const Windows w{
        .window = ctx->saved_data["window"].toInt(), .shift = ctx->saved_data["shift"].toInt(), .heads = ctx->saved_data["heads"].toInt()};
    const auto found =
        attend_gradients(saved[0], gradients[0], w, {saved[1], saved[2], saved[3], saved[4]}, /*of_bias=*/ctx->needs_input_grad(1));
    return {found.qkv, found.bias, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool window_attention_fits(const at::Tensor& qkv, const Windows& w) {
  const auto* k = kernels::kernels();
  if (k == nullptr || !qkv.device().is_cpu() || qkv.dim() != 4) return false;
  if (qkv.scalar_type() != at::kFloat && qkv.scalar_type() != at::kBFloat16) return false;
  const int64_t tokens = w.window * w.window, depth = qkv.size(3) / (3 * w.heads);
  return tokens <= kernels::kMostWindowTokens && tokens % k->filters == 0 && depth <= kernels::kMostHeadChannels;
}

at::Tensor window_attention(const at::Tensor& qkv, const Windows& w, const WindowBias& bias) {
  if (wants_gradient({qkv, bias[0]})) return WindowAttentionFunction::apply(qkv, bias[0], w, bias);
  return attend(qkv, w, bias);
}

}  // namespace lpnsr
