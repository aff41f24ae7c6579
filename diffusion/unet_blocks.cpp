#include "diffusion/unet_blocks.h"

namespace lpnsr {
namespace {

at::Tensor resampled(const at::Tensor& x, Resample resample) {
  switch (resample) {
    case Resample::down:
      return at::avg_pool2d(x, {2, 2}, {2, 2});
    case Resample::up:
      return twice_as_large(x);
    case Resample::none:
      break;
  }
  return x;
}

}  // namespace

ResidualBlock::ResidualBlock(const ResidualBlockOptions& options) : options_(options) {
  const int64_t in = options.in_channels, out = options.out_channels;
  in_norm_ = group_norm(options.norm_groups, in, kUNetNormEps, "model_channels with channel_mult");
  in_conv_ = convolution(in, out, 3);
  embedding_ = torch::nn::Linear(options.embedding_channels, options.scale_shift_norm ? 2 * out : out);
  out_norm_ = group_norm(options.norm_groups, out, kUNetNormEps, "model_channels with channel_mult");
  out_conv_ = convolution(out, out, 3);
  set_to_zero(out_conv_);
  auto in_layers = register_module("in_layers", std::make_shared<torch::nn::Module>());
  in_layers->register_module("0", in_norm_);
  in_layers->register_module("2", in_conv_);
  register_module("emb_layers", std::make_shared<torch::nn::Module>())->register_module("1", embedding_);
  auto out_layers = register_module("out_layers", std::make_shared<torch::nn::Module>());
  out_layers->register_module("0", out_norm_);
  out_layers->register_module("3", out_conv_);
  if (in != out) skip_ = register_module("skip_connection", convolution(in, out, 1));
}

// norm(h) (1 + scale) + shift. One embedding for the whole batch goes into the affine part of the normalisation itself.
at::Tensor ResidualBlock::modulated_norm(const at::Tensor& h, const at::Tensor& projected) const {
  const auto parts = projected.chunk(2, 1);
  const auto scale = parts[0] + 1.0, shift = parts[1];
  if (projected.size(0) == 1) {
    const auto row = scale.squeeze(0);
    const auto weight = out_norm_->weight * row, bias = at::addcmul(shift.squeeze(0), out_norm_->bias, row);
    return at::group_norm(h, options_.norm_groups, weight, bias, out_norm_->options.eps());
  }
  const auto normed = at::group_norm(h, options_.norm_groups, out_norm_->weight, out_norm_->bias, out_norm_->options.eps());
  return at::addcmul(shift.unsqueeze(-1).unsqueeze(-1), normed, scale.unsqueeze(-1).unsqueeze(-1));
}

at::Tensor ResidualBlock::forward(const at::Tensor& x, const at::Tensor& embedding) {
  auto h = resampled(silu_of_temporary(in_norm_(x)), options_.resample);
  const auto skipped = resampled(x, options_.resample);
  h = in_conv_(h);
  const auto projected = embedding_(embedding);
  if (options_.scale_shift_norm) {
    h = modulated_norm(h, projected);
  } else {
    h = out_norm_(h + projected.unsqueeze(-1).unsqueeze(-1));
  }
  h = silu_of_temporary(h);
  if (options_.dropout > 0.0) h = torch::dropout(h, options_.dropout, is_training());
  return (skip_.is_empty() ? skipped : skip_(skipped)) + out_conv_(h);
}

Downsample::Downsample(int64_t in_channels, int64_t out_channels, bool learned) {
  if (learned) op_ = register_module("op", convolution(in_channels, out_channels, 3, 2));
}

at::Tensor Downsample::forward(const at::Tensor& x, const at::Tensor&) { return op_.is_empty() ? resampled(x, Resample::down) : op_(x); }

Upsample::Upsample(int64_t channels, bool learned) {
  if (learned) conv_ = register_module("conv", convolution(channels, channels, 3));
}

at::Tensor Upsample::forward(const at::Tensor& x, const at::Tensor&) {
  const auto large = resampled(x, Resample::up);
  return conv_.is_empty() ? large : conv_(large);
}

void UNetStage::add(std::shared_ptr<UNetLayer> layer) {
  layers_.push_back(register_module(std::to_string(layers_.size()), std::move(layer)));
}

at::Tensor UNetStage::forward(const at::Tensor& x, const at::Tensor& embedding) {
  at::Tensor h = x;
  for (const auto& layer : layers_) h = layer->forward(h, embedding);
  return h;
}

}  // namespace lpnsr
