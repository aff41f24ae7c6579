#include "diffusion/swin_block.h"

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/gradients.h"
#include "diffusion/checkpointing.h"

namespace lpnsr {

int64_t effective_window(int64_t trained_side, int64_t window) { return std::min(trained_side, window); }

at::Tensor relative_position_index(int64_t window) {
  const int64_t tokens = window * window;
  auto index = torch::empty({tokens, tokens}, torch::kInt64);
  auto values = index.accessor<int64_t, 2>();
  for (int64_t i = 0; i < tokens; ++i) {
    for (int64_t j = 0; j < tokens; ++j) {
      const int64_t rows = i / window - j / window + window - 1, columns = i % window - j % window + window - 1;
      values[i][j] = rows * (2 * window - 1) + columns;
    }
  }
  return index;
}

at::Tensor shifted_window_mask(int64_t rows, int64_t columns, int64_t window, int64_t shift) {
  const auto region = torch::arange(window).ge(window - shift).repeat({window});  // by the token's column, see the header
  const auto split = torch::where(region.unsqueeze(0).eq(region.unsqueeze(1)), 0.0, -100.0).to(torch::kFloat32);
  auto mask = torch::zeros({rows, columns, window * window, window * window});
  mask.select(0, rows - 1).copy_(split);
  return mask.flatten(0, 1);
}

WindowAttentionImpl::WindowAttentionImpl(int64_t channels, int64_t window, int64_t heads, double dropout)
    : window_(window), heads_(heads), dropout_(dropout) {
  const int64_t offsets = (2 * window - 1) * (2 * window - 1);
  table_ = register_parameter("relative_position_bias_table", torch::empty({offsets, heads}));
  torch::nn::init::normal_(table_, 0.0, 0.02);
  index_ = register_buffer("relative_position_index", relative_position_index(window));
  qkv_ = register_module("qkv", LinearLayer(channels, 3 * channels));
  proj_ = register_module("proj", LinearLayer(channels, channels));
}

// Module::to gives every buffer the floating-point type that was asked for, which integers do not survive.
void WindowAttentionImpl::keep_index_integral() { index_.set_data(relative_position_index(window_).to(table_.device())); }

void WindowAttentionImpl::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  Module::to(device, dtype, non_blocking);
  keep_index_integral();
}

void WindowAttentionImpl::to(torch::Dtype dtype, bool non_blocking) {
  Module::to(dtype, non_blocking);
  keep_index_integral();
}

void WindowAttentionImpl::to(torch::Device device, bool non_blocking) {
  Module::to(device, non_blocking);
  keep_index_integral();
}

WindowBias WindowAttentionImpl::bias(const at::Tensor& mask, c10::ScalarType type) {
  return bias_.of({table_}, type, [&] { return window_bias(table_, index_, {at::Tensor(), at::Tensor(), mask, mask}, type); });
}

void WindowAttentionImpl::prepare(const at::Tensor& mask) { static_cast<void>(bias(mask, window_bias_type(table_))); }

at::Tensor WindowAttentionImpl::attend(const at::Tensor& qkv, int64_t shift, const at::Tensor& mask) {
  const int64_t batch = qkv.size(0), height = qkv.size(1), width = qkv.size(2), channels = qkv.size(3) / 3, w = window_;
  const int64_t rows = height / w, columns = width / w, count = rows * batch * columns, tokens = w * w;
  const auto map = shift > 0 ? at::roll(qkv, {-shift, -shift}, {1, 2}) : qkv;
  // Rows of windows come first, so that the windows with the mask lie together at the end.
  const auto windows = map.reshape({batch, rows, w, columns, w, 3, heads_, channels / heads_})
                           .permute({5, 1, 0, 3, 6, 2, 4, 7})
                           .reshape({3, count, heads_, tokens, channels / heads_});
  const auto biases = bias(mask, qkv.scalar_type());
  const auto some = [&](int64_t start, int64_t length, const at::Tensor& added) {
    const auto part = windows.narrow(1, start, length);
    return at::scaled_dot_product_attention(part[0], part[1], part[2], added.unsqueeze(0)).transpose(1, 2);
  };
  const int64_t masked_windows = shift > 0 ? batch * columns : 0, free_windows = count - masked_windows;
  at::Tensor result;
  if (masked_windows == 0) {
    result = some(0, count, biases[0]);
  } else if (free_windows == 0) {
    result = some(0, count, biases[2]);
  } else {
    result = at::cat({some(0, free_windows, biases[0]), some(free_windows, masked_windows, biases[2])});
  }
  result = result.reshape({rows, batch, columns, w, w, channels}).permute({1, 0, 3, 2, 4, 5}).reshape({batch, height, width, channels});
  return shift > 0 ? at::roll(result, {shift, shift}, {1, 2}) : result;
}

at::Tensor WindowAttentionImpl::attend_in_place(const at::Tensor& qkv, const Windows& windows, const at::Tensor& mask) {
  const auto own = [this, windows, mask](const at::Tensor& map) { return window_attention(map, windows, bias(mask, torch::kFloat32)); };
  if (qkv.scalar_type() != torch::kFloat32) return own(qkv);
  // In float32 the backward pass runs LibTorch's operators on the same input: single roundings move long trajectories, and so they stay as
  // near to the published trainer's as they are.
  const auto compute = [this, own, windows, mask](const std::vector<at::Tensor>& inputs) {
    return wants_gradient({inputs[0], table_}) ? attend(inputs[0], windows.shift, mask) : own(inputs[0]);
  };
  return checkpoint(compute, {qkv}, {table_});
}

at::Tensor WindowAttentionImpl::forward(const at::Tensor& x, int64_t shift, const at::Tensor& mask, const at::Tensor& residual) {
  const auto qkv = qkv_(x.permute({0, 2, 3, 1}));
  const Windows windows{.window = window_, .shift = shift, .heads = heads_};
  const auto mixed = window_attention_fits(qkv, windows) ? attend_in_place(qkv, windows, mask) : attend(qkv, shift, mask);
  const bool drops = dropout_ > 0.0 && is_training();
  if (!drops) return proj_->forward_with(mixed, {.residual = residual.permute({0, 2, 3, 1})}).permute({0, 3, 1, 2});
  return residual + torch::dropout(proj_(mixed), dropout_, true).permute({0, 3, 1, 2});
}

SwinBlockImpl::SwinBlockImpl(const SwinLayerOptions& o, bool shifted) : dropout_(o.dropout) {
  const int64_t window = effective_window(o.trained_side, o.window);
  if (shifted && o.trained_side > o.window) shift_ = window / 2;
  if (shift_ > 0) {
    const int64_t windows = o.trained_side / window;
    mask_ = register_buffer("attn_mask", shifted_window_mask(windows, windows, window, shift_));
  }
  norm1_ = register_module("norm1", group_normalisation(o.norm_groups, o.embed_dim, kUNetNormEps, "swin_embed_dim"));
  attention_ = register_module("attn", WindowAttention(o.embed_dim, window, o.heads, o.dropout));
  norm2_ = register_module("norm2", group_normalisation(o.norm_groups, o.embed_dim, kUNetNormEps, "swin_embed_dim"));
  const auto hidden = static_cast<int64_t>(static_cast<double>(o.embed_dim) * o.mlp_ratio);
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  fc1_ = mlp->register_module("fc1", convolution(o.embed_dim, hidden, 1));
  fc2_ = mlp->register_module("fc2", convolution(hidden, o.embed_dim, 1));
}

at::Tensor SwinBlockImpl::mask_of_last_row() const { return shift_ > 0 ? mask_.select(0, -1) : at::Tensor(); }

void SwinBlockImpl::prepare() { attention_->prepare(mask_of_last_row()); }

at::Tensor SwinBlockImpl::forward(const at::Tensor& x) {
  if (!recomputed_ || !torch::GradMode::is_enabled()) return run(x);
  return checkpoint([this](const std::vector<at::Tensor>& inputs) { return run(inputs[0]); }, {x}, parameters(), dropout_ > 0.0);
}

at::Tensor SwinBlockImpl::run(const at::Tensor& x) {
  const auto h = attention_(norm1_(x), shift_, mask_of_last_row(), x);
  const auto hidden = fc1_->forward_with(norm2_(h), {.gelu = true});
  const bool drops = dropout_ > 0.0 && is_training();
  if (!drops) return fc2_->forward_with(hidden, {.residual = h});
  return h + torch::dropout(fc2_(torch::dropout(hidden, dropout_, true)), dropout_, true);
}

SwinLayer::SwinLayer(const SwinLayerOptions& o) {
  if (o.heads <= 0 || o.embed_dim % o.heads != 0) {
    throw UsageError(fmt::format("swin_embed_dim is {}, which {} attention heads do not divide: set num_head_channels to a divisor of it",
                                 o.embed_dim, o.heads));
  }
  const int64_t window = effective_window(o.trained_side, o.window);
  if (window <= 0 || o.trained_side % window != 0) {
    throw UsageError(fmt::format("window_size {} does not divide a level that is {} wide in training: change image_size or window_size",
                                 o.window, o.trained_side));
  }
  embed_ = convolution(o.channels, o.embed_dim, 1);
  unembed_ = convolution(o.embed_dim, o.channels, 1);
  auto patch_embed = register_module("patch_embed", std::make_shared<torch::nn::Module>());
  patch_embed->register_module("proj", embed_);
  auto patch_unembed = register_module("patch_unembed", std::make_shared<torch::nn::Module>());
  patch_unembed->register_module("proj", unembed_);
  if (o.patch_norm) {
    embed_norm_ = patch_embed->register_module("norm", group_normalisation(o.norm_groups, o.embed_dim, kUNetNormEps, "swin_embed_dim"));
    unembed_norm_ = patch_unembed->register_module(
        "norm", group_normalisation(o.norm_groups, o.channels, kUNetNormEps, "model_channels with channel_mult"));
  }
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < o.depth; ++i) blocks_.push_back(blocks->register_module(std::to_string(i), SwinBlock(o, i % 2 == 1)));
}

at::Tensor SwinLayer::forward(const at::Tensor& x, const at::Tensor&) {
  auto h = embed_(x);
  if (!embed_norm_.is_empty()) h = embed_norm_(h);
  for (auto& block : blocks_) h = block(h);
  h = unembed_(h);
  return unembed_norm_.is_empty() ? h : unembed_norm_(h);
}

}  // namespace lpnsr
