#include "diffusion/autoencoder_blocks.h"

#include <cmath>

#include "core/token_attention.h"
#include "diffusion/layers.h"

namespace lpnsr {
namespace {

GroupNorm normalisation(int64_t channels, const AutoencoderBackboneOptions& o) {
  return group_normalisation(o.norm_groups, channels, 1e-6, "ch with ch_mult");
}

bool contains(const std::vector<int64_t>& list, int64_t value) { return std::find(list.begin(), list.end(), value) != list.end(); }

}  // namespace

AutoencoderResidual::AutoencoderResidual(int64_t in_channels, int64_t out_channels, const AutoencoderBackboneOptions& o)
    : dropout_(o.dropout) {
  norm1_ = register_module("norm1", normalisation(in_channels, o));
  conv1_ = register_module("conv1", convolution(in_channels, out_channels, 3));
  norm2_ = register_module("norm2", normalisation(out_channels, o));
  conv2_ = register_module("conv2", convolution(out_channels, out_channels, 3));
  if (in_channels != out_channels) shortcut_ = register_module("nin_shortcut", convolution(in_channels, out_channels, 1));
}

at::Tensor AutoencoderResidual::forward(const at::Tensor& x) {
  const auto h = norm_silu_convolve(norm1_, conv1_, x);
  const auto skipped = shortcut_.is_empty() ? x : shortcut_(x);
  if (dropout_ > 0.0 && is_training()) {
    return skipped + conv2_(torch::dropout(group_norm(h, norm2_->weight, norm2_->bias, norm2_->with_silu(true)), dropout_, true));
  }
  return norm_silu_convolve(norm2_, conv2_, h, skipped);
}

AutoencoderAttention::AutoencoderAttention(int64_t channels, const AutoencoderBackboneOptions& o) {
  norm_ = register_module("norm", normalisation(channels, o));
  q_ = register_module("q", convolution(channels, channels, 1));
  k_ = register_module("k", convolution(channels, channels, 1));
  v_ = register_module("v", convolution(channels, channels, 1));
  out_ = register_module("proj_out", convolution(channels, channels, 1));
}

at::Tensor AutoencoderAttention::forward(const at::Tensor& x) {
  const auto normed = norm_(x);
  const auto tokens = [](const at::Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(1, 2).unsqueeze(1); };  // [N,1,HW,C]
  const auto h = token_attention(tokens(q_(normed)), tokens(k_(normed)), tokens(v_(normed)));
  return out_->forward_with(h.view({x.size(0), x.size(2), x.size(3), x.size(1)}).permute({0, 3, 1, 2}), {.residual = x});
}

AutoencoderLevel::AutoencoderLevel(int64_t in_channels, int64_t out_channels, int64_t blocks, int64_t side,
                                   const AutoencoderBackboneOptions& o) {
  const bool attends = contains(o.attn_resolutions, side);
  auto block = register_module("block", std::make_shared<torch::nn::Module>());
  auto attn = register_module("attn", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < blocks; ++i) {
    const auto name = std::to_string(i);
    blocks_.push_back(
        block->register_module(name, std::make_shared<AutoencoderResidual>(i == 0 ? in_channels : out_channels, out_channels, o)));
    if (attends) attentions_.push_back(attn->register_module(name, std::make_shared<AutoencoderAttention>(out_channels, o)));
  }
}

void AutoencoderLevel::add_downsample(int64_t channels) {
  downsample_ = Conv2d(torch::nn::Conv2dOptions(channels, channels, 3).stride(2));
  register_module("downsample", std::make_shared<torch::nn::Module>())->register_module("conv", downsample_);
}

void AutoencoderLevel::add_upsample(int64_t channels) {
  upsample_ = convolution(channels, channels, 3);
  register_module("upsample", std::make_shared<torch::nn::Module>())->register_module("conv", upsample_);
}

at::Tensor AutoencoderLevel::forward(const at::Tensor& x) {
  at::Tensor h = x;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    h = blocks_[i]->forward(h);
    if (!attentions_.empty()) h = attentions_[i]->forward(h);
  }
  if (!downsample_.is_empty()) h = downsample_(at::constant_pad_nd(h, {0, 1, 0, 1}));
  if (!upsample_.is_empty()) h = upsample_->forward_enlarged(h);
  return h;
}

AutoencoderMiddle::AutoencoderMiddle(int64_t channels, const AutoencoderBackboneOptions& o) {
  block1_ = register_module("block_1", std::make_shared<AutoencoderResidual>(channels, channels, o));
  attention_ = register_module("attn_1", std::make_shared<AutoencoderAttention>(channels, o));
  block2_ = register_module("block_2", std::make_shared<AutoencoderResidual>(channels, channels, o));
}

at::Tensor AutoencoderMiddle::forward(const at::Tensor& x) { return block2_->forward(attention_->forward(block1_->forward(x))); }

Encoder::Encoder(const AutoencoderBackboneOptions& o) {
  conv_in_ = register_module("conv_in", convolution(o.in_channels, o.ch, 3));
  auto down = register_module("down", std::make_shared<torch::nn::Module>());
  int64_t width = o.ch, side = o.resolution;
  for (size_t level = 0; level < o.ch_mult.size(); ++level) {
    const int64_t out = o.ch * o.ch_mult[level];
    auto part = std::make_shared<AutoencoderLevel>(width, out, o.num_res_blocks, side, o);
    width = out;
    if (level + 1 < o.ch_mult.size()) {
      part->add_downsample(width);
      side /= 2;
    }
    levels_.push_back(down->register_module(std::to_string(level), part));
  }
  middle_ = register_module("mid", std::make_shared<AutoencoderMiddle>(width, o));
  norm_out_ = register_module("norm_out", normalisation(width, o));
  conv_out_ = register_module("conv_out", convolution(width, o.z_channels, 3));
}

at::Tensor Encoder::forward(const at::Tensor& image) {
  at::Tensor h = conv_in_(image);
  for (const auto& level : levels_) h = level->forward(h);
  return norm_silu_convolve(norm_out_, conv_out_, middle_->forward(h));
}

Decoder::Decoder(const AutoencoderBackboneOptions& o) {
  const size_t count = o.ch_mult.size();
  int64_t width = o.ch * o.ch_mult.back(), side = o.resolution >> (count - 1);
  conv_in_ = register_module("conv_in", convolution(o.z_channels, width, 3));
  middle_ = register_module("mid", std::make_shared<AutoencoderMiddle>(width, o));
  levels_.resize(count);
  for (size_t level = count; level-- > 0;) {
    const int64_t out = o.ch * o.ch_mult[level];
    levels_[level] = std::make_shared<AutoencoderLevel>(width, out, o.num_res_blocks + 1, side, o);
    width = out;
    if (level > 0) {
      levels_[level]->add_upsample(width);
      side *= 2;
    }
  }
  auto up = register_module("up", std::make_shared<torch::nn::Module>());
  for (size_t level = 0; level < count; ++level) up->register_module(std::to_string(level), levels_[level]);
  norm_out_ = register_module("norm_out", normalisation(width, o));
  conv_out_ = register_module("conv_out", convolution(width, o.out_ch, 3));
}

at::Tensor Decoder::forward(const at::Tensor& latent) {
  at::Tensor h = middle_->forward(conv_in_(latent));
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) h = (*level)->forward(h);
  return norm_silu_convolve(norm_out_, conv_out_, h);
}

LoraConvolution::LoraConvolution(int64_t in_channels, int64_t out_channels, int64_t rank, double alpha)
    : scale_(alpha / static_cast<double>(rank)) {
  a_ = register_parameter("lora_A", torch::empty({rank, in_channels}));
  b_ = register_parameter("lora_B", torch::zeros({out_channels, rank}));
  torch::nn::init::kaiming_uniform_(a_, std::sqrt(5.0));
  conv_ = register_module("conv", convolution(in_channels, out_channels, 1));
}

at::Tensor LoraConvolution::forward(const at::Tensor& x) {
  return convolve(x, conv_->weight + (b_.matmul(a_) * scale_).reshape(conv_->weight.sizes()), conv_->bias, 1, 0);
}

}  // namespace lpnsr
