#include "diffusion/swinir_blocks.h"

#include <cmath>
#include <utility>

#include "core/convolution.h"
#include "core/kernels/kernels.h"

namespace lpnsr::swinir {
namespace {

// [N,H,W,C] -> [N * windows, window^2, C], windows row by row.
at::Tensor to_windows(const at::Tensor& x, int64_t window) {
  const int64_t n = x.size(0), rows = x.size(1) / window, columns = x.size(2) / window, channels = x.size(3);
  return x.reshape({n, rows, window, columns, window, channels}).transpose(2, 3).reshape({n * rows * columns, window * window, channels});
}

at::Tensor from_windows(const at::Tensor& tokens, int64_t window, at::IntArrayRef sizes) {
  const int64_t rows = sizes[1] / window, columns = sizes[2] / window;
  return tokens.reshape({sizes[0], rows, columns, window, window, sizes[3]}).transpose(2, 3).reshape(sizes);
}

// Row of the bias table for every pair of tokens: their offsets in rows and columns, each counted from -(window - 1).
at::Tensor pair_offsets(int64_t window) {
  const auto place = torch::arange(window * window, torch::kInt64);
  const auto row = torch::div(place, window, "floor"), column = place.remainder(window);
  const auto offset = [window](const at::Tensor& at) { return at.unsqueeze(1) - at.unsqueeze(0) + window - 1; };
  return offset(row) * (2 * window - 1) + offset(column);
}

}  // namespace

at::Tensor shifted_window_mask(int64_t height, int64_t width, int64_t window) {
  const int64_t shift = window / 2;
  // After the roll by `shift` a side has three regions: whole windows, the last window's own part and the part that came from the other
  // end.
  const auto regions = [&](int64_t length) {
    const auto place = torch::arange(length, torch::kFloat32);
    return (place >= length - window).to(torch::kFloat32) + (place >= length - shift).to(torch::kFloat32);
  };
  const auto label = regions(height).unsqueeze(1) * 3 + regions(width).unsqueeze(0);
  const auto tokens = to_windows(label.view({1, height, width, 1}), window).squeeze(-1);
  return (tokens.unsqueeze(1) != tokens.unsqueeze(2)).to(torch::kFloat32) * -100.0;
}

WindowAttentionImpl::WindowAttentionImpl(const BlockOptions& options) : window_(options.window), heads_(options.heads) {
  const int64_t offsets = 2 * options.window - 1;
  relative_position_bias_table_ = register_parameter("relative_position_bias_table", torch::zeros({offsets * offsets, options.heads}));
  relative_position_index_ = register_buffer("relative_position_index", pair_offsets(options.window));
  qkv_ = register_module("qkv", LinearLayer(options.dim, 3 * options.dim));
  proj_ = register_module("proj", LinearLayer(options.dim, options.dim));
  // A map of 2 x 2 windows has one of each kind.
  const auto masks = shifted_window_mask(2 * options.window, 2 * options.window, options.window);
  for (int64_t i = 1; i < 4; ++i) shifted_masks_[static_cast<size_t>(i)] = masks[i];
}

// qkv [N,H,W,3C] -> [N,H,W,C], by LibTorch's operators. Plain matrix products: on windows this small no slower on a CPU than
// scaled_dot_product_attention and closer in the last digits, and the mask need not be repeated for each picture.
at::Tensor WindowAttentionImpl::attend(const at::Tensor& qkv, int64_t shift, const at::Tensor& mask) {
  const int64_t dim = qkv.size(3) / 3, area = window_ * window_;
  const auto tokens = to_windows(shift > 0 ? torch::roll(qkv, {-shift, -shift}, {1, 2}) : qkv, window_);
  const int64_t windows = tokens.size(0);
  const auto parts = tokens.view({windows, area, 3, heads_, dim / heads_}).permute({2, 0, 3, 1, 4});
  auto scores = torch::matmul(parts[0] * (1.0 / std::sqrt(static_cast<double>(dim / heads_))), parts[1].transpose(-2, -1));
  scores += bias(shift, scores.scalar_type()).front();  // of windows without a mask
  if (shift > 0) {
    scores.view({windows / mask.size(0), mask.size(0), heads_, area, area}) += mask.unsqueeze(1).to(scores.scalar_type());
  }
  const auto mixed = torch::matmul(scores.softmax(-1), parts[2]);
  const auto back =
      from_windows(mixed.transpose(1, 2).reshape({windows, area, dim}), window_, {qkv.size(0), qkv.size(1), qkv.size(2), dim});
  return shift > 0 ? torch::roll(back, {shift, shift}, {1, 2}) : back;
}

WindowBias WindowAttentionImpl::bias(int64_t shift, c10::ScalarType type) {
  // attend(), which serves where the kernel cannot, adds the mask of the whole map itself.
  const bool masked = shift > 0 && kernels::kernels() != nullptr && relative_position_bias_table_.is_cpu();
  const auto& masks = masked ? shifted_masks_ : WindowMasks{};
  return bias_.of({relative_position_bias_table_}, type,
                  [&] { return window_bias(relative_position_bias_table_, relative_position_index_, masks, type); });
}

void WindowAttentionImpl::prepare(int64_t shift) { static_cast<void>(bias(shift, window_bias_type(relative_position_bias_table_))); }

at::Tensor WindowAttentionImpl::forward(const at::Tensor& x, int64_t shift, const at::Tensor& mask, const at::Tensor& residual) {
  const auto qkv = qkv_(x);
  const Windows windows{.window = window_, .shift = shift, .heads = heads_};
  const auto mixed =
      window_attention_fits(qkv, windows) ? window_attention(qkv, windows, bias(shift, torch::kFloat32)) : attend(qkv, shift, mask);
  return proj_->forward_with(mixed, {.residual = residual});
}

MlpImpl::MlpImpl(int64_t dim, int64_t hidden)
    : fc1_(register_module("fc1", LinearLayer(dim, hidden))), fc2_(register_module("fc2", LinearLayer(hidden, dim))) {}

at::Tensor MlpImpl::forward(const at::Tensor& x, const at::Tensor& residual) {
  return fc2_->forward_with(fc1_->forward_with(x, {.gelu = true}), {.residual = residual});
}

SwinBlockImpl::SwinBlockImpl(const BlockOptions& options, bool shifted)
    : shift_(shifted && options.trained_side > options.window ? options.window / 2 : 0) {
  // Stored by the published weights; the mask of the actual size is passed to forward.
  if (shift_ > 0) register_buffer("attn_mask", shifted_window_mask(options.trained_side, options.trained_side, options.window));
  norm1_ = register_module("norm1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.dim})));
  attn_ = register_module("attn", WindowAttention(options));
  norm2_ = register_module("norm2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.dim})));
  mlp_ = register_module("mlp", Mlp(options.dim, options.mlp_dim));
}

at::Tensor SwinBlockImpl::forward(const at::Tensor& x, const at::Tensor& mask) {
  const auto y = attn_(norm1_(x), shift_, mask, x);
  return mlp_(norm2_(y), y);
}

ResidualConvolution residual_convolution(int64_t dim, const std::string& kind) {
  const auto conv = [](int64_t in, int64_t out, int64_t kernel) {
    return Conv2d(torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2));
  };
  if (kind == "1conv") {
    const auto single = conv(dim, dim, 3);
    return {single.ptr(), torch::nn::Sequential(single)};
  }
  const auto leaky = [] { return torch::nn::LeakyReLU(torch::nn::LeakyReLUOptions().negative_slope(0.2)); };
  const int64_t narrow = dim / 4;
  const torch::nn::Sequential bottleneck(conv(dim, narrow, 3), leaky(), conv(narrow, narrow, 1), leaky(), conv(narrow, dim, 3));
  return {bottleneck.ptr(), bottleneck};
}

ResidualGroupImpl::ResidualGroupImpl(const BlockOptions& options, int64_t depth, const std::string& resi_connection)
    : conv_(residual_convolution(options.dim, resi_connection)) {
  // The published names have one more level: residual_group.blocks.
  const auto group = register_module("residual_group", std::make_shared<torch::nn::Module>("BasicLayer"));
  blocks_ = group->register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < depth; ++i) blocks_->push_back(SwinBlock(options, i % 2 == 1));
  register_module("conv", conv_.module);
}

at::Tensor ResidualGroupImpl::forward(const at::Tensor& x, const at::Tensor& mask) {
  at::Tensor y = x;
  for (const auto& block : *blocks_) y = block->as<SwinBlock>()->forward(y, mask);
  return x + conv_.run->forward(y.permute({0, 3, 1, 2})).permute({0, 2, 3, 1});
}

}  // namespace lpnsr::swinir
