#include "diffusion/unet_blocks.h"

#include "core/gradients.h"

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
  in_norm_ = group_normalisation(options.norm_groups, in, kUNetNormEps, "model_channels with channel_mult");
  in_conv_ = convolution(in, out, 3);
  embedding_ = torch::nn::Linear(options.embedding_channels, options.scale_shift_norm ? 2 * out : out);
  out_norm_ = group_normalisation(options.norm_groups, out, kUNetNormEps, "model_channels with channel_mult");
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

ResidualBlock::Modulation ResidualBlock::modulation(const at::Tensor& embedding) {
  const auto make = [&]() -> Modulation {
    const auto parts = embedding_(embedding).chunk(2, 1);
    const auto scale = parts[0] + 1.0;
    return {out_norm_->weight * scale, at::addcmul(parts[1], out_norm_->bias, scale)};
  };
  const auto &w = embedding_->weight, &b = embedding_->bias, &scale = out_norm_->weight, &shift = out_norm_->bias;
  if (wants_gradient({embedding, w, b, scale, shift}) || embedding.size(0) > 1) return make();
  return modulations_.of({w, b, scale, shift}, {embedding}, make);
}

at::Tensor ResidualBlock::forward(const at::Tensor& x, const at::Tensor& embedding) {
  const auto resample = options_.resample;
  auto h = resample == Resample::none
               ? norm_silu_convolve(in_norm_, in_conv_, x)
               : in_conv_(resampled(group_norm(x, in_norm_->weight, in_norm_->bias, in_norm_->with_silu(true)), resample));
  Modulation norm{out_norm_->weight, out_norm_->bias};
  if (options_.scale_shift_norm) {
    const auto [weight, bias] = modulation(embedding);
    norm = {weight.expand({x.size(0), -1}), bias.expand({x.size(0), -1})};
  } else {
    h = h + embedding_(embedding).unsqueeze(-1).unsqueeze(-1);
  }
  auto skipped = resampled(x, resample);
  if (!skip_.is_empty()) skipped = skip_(skipped);
  if (options_.dropout > 0.0 && is_training()) {
    return skipped + out_conv_(torch::dropout(group_norm(h, norm.weight, norm.bias, out_norm_->with_silu(true)), options_.dropout, true));
  }
  return norm_silu_convolve(out_norm_, out_conv_, h, skipped, norm.weight, norm.bias);
}

Downsample::Downsample(int64_t in_channels, int64_t out_channels, bool learned) {
  if (learned) op_ = register_module("op", convolution(in_channels, out_channels, 3, 2));
}

at::Tensor Downsample::forward(const at::Tensor& x, const at::Tensor&) { return op_.is_empty() ? resampled(x, Resample::down) : op_(x); }

Upsample::Upsample(int64_t channels, bool learned) {
  if (learned) conv_ = register_module("conv", convolution(channels, channels, 3));
}

at::Tensor Upsample::forward(const at::Tensor& x, const at::Tensor&) {
  return conv_.is_empty() ? resampled(x, Resample::up) : conv_->forward_enlarged(x);
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
