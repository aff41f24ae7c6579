#include "diffusion/autoencoder.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest_codes.h"
#include "diffusion/autoencoder_blocks.h"
#include "diffusion/layers.h"

namespace lpnsr {
namespace {

constexpr double kCommitment = 0.25;  // beta

void check_map(const at::Tensor& map, int64_t channels, const char* what) {
  if (map.dim() != 4 || map.size(1) != channels || map.numel() == 0) {
    throw UsageError(fmt::format("the autoencoder's {} has shape [{}]; it takes [N,{},H,W]", what, fmt::join(map.sizes(), ","), channels));
  }
}

}  // namespace

void AutoencoderBackboneOptions::fields(FieldVisitor& v) {
  v.boolean("double_z", double_z, "must be false: a VQ encoder has no variances");
  v.integer("z_channels", z_channels, {1.0}, "channels between encoder and decoder");
  v.integer("resolution", resolution, {1.0}, "side of the training images: with attn_resolutions, where attention is");
  v.integer("in_channels", in_channels, {1.0}, "channels of the image");
  v.integer("out_ch", out_ch, {1.0}, "channels of the decoded image");
  v.integer("ch", ch, {1.0}, "channels of the finest level");
  v.integers("ch_mult", ch_mult, {1.0}, "channels of each level, times ch; one level less than that halves the sides");
  v.integer("norm_groups", norm_groups, {1.0}, "groups of the group normalisations; 32 as published");
  v.integer("num_res_blocks", num_res_blocks, {1.0}, "residual blocks a level (the decoder has one more)");
  v.integers("attn_resolutions", attn_resolutions, {1.0}, "sides, in training, of the levels with attention");
  v.real("dropout", dropout, {0.0, 1.0}, "dropout probability");
}

void AutoencoderOptions::fields(FieldVisitor& v) {
  v.integer("embed_dim", embed_dim, {1.0}, "channels of the latent and of a code");
  v.integer("n_embed", n_embed, {1.0}, "number of codes");
  v.boolean("lora_tune_decoder", lora_tune_decoder, "a low-rank update of the convolution behind the codes");
  v.integer("lora_rank", lora_rank, {1.0}, "its rank");
  v.real("lora_alpha", lora_alpha, any_value, "its weight, divided by the rank");
  v.section("ddconfig", ddconfig, "encoder and decoder");
}

AutoencoderImpl::AutoencoderImpl(const AutoencoderOptions& options) : options_(options) {
  const auto& d = options_.ddconfig;
  if (d.double_z)
    throw UsageError("ddconfig.double_z is true, which belongs to autoencoders with variances; the VQ autoencoder needs false");
  if (d.ch_mult.empty()) throw UsageError("ddconfig.ch_mult is empty: it needs one factor for each level, as [1, 2, 4]");
  encoder_ = register_module("encoder", std::make_shared<Encoder>(d));
  decoder_ = register_module("decoder", std::make_shared<Decoder>(d));
  auto quantize = register_module("quantize", std::make_shared<torch::nn::Module>());
  auto embedding = quantize->register_module("embedding", std::make_shared<torch::nn::Module>());
  codes_ = embedding->register_parameter("weight", torch::empty({options_.n_embed, options_.embed_dim}));
  const double bound = 1.0 / static_cast<double>(options_.n_embed);
  torch::nn::init::uniform_(codes_, -bound, bound);
  quant_conv_ = register_module("quant_conv", convolution(d.z_channels, options_.embed_dim, 1));
  if (options_.lora_tune_decoder) {
    post_quant_lora_ = register_module(
        "post_quant_conv", std::make_shared<LoraConvolution>(options_.embed_dim, d.z_channels, options_.lora_rank, options_.lora_alpha));
  } else {
    post_quant_conv_ = register_module("post_quant_conv", convolution(options_.embed_dim, d.z_channels, 1));
  }
}

at::Tensor AutoencoderImpl::encode(const at::Tensor& image) {
  check_map(image, options_.ddconfig.in_channels, "image");
  if (std::min(image.size(2), image.size(3)) < options_.scale()) {
    throw UsageError(fmt::format("an image of {}x{} is too small for the autoencoder: both sides must be at least {}", image.size(2),
                                 image.size(3), options_.scale()));
  }
  return encodings_.run(*this, {image}, {}, [this](const std::vector<at::Tensor>& inputs) {
    return quant_conv_(encoder_->forward(inputs[0].to(quant_conv_->weight.scalar_type()))).to(inputs[0].scalar_type());
  });
}

Quantised AutoencoderImpl::quantise(const at::Tensor& latent) {
  check_map(latent, options_.embed_dim, "latent");
  const auto points = latent.permute({0, 2, 3, 1}).reshape({-1, options_.embed_dim});
  const auto indices = nearest_codes(points, codes_).view({latent.size(0), latent.size(2), latent.size(3)});
  const auto codes = at::embedding(codes_, indices).permute({0, 3, 1, 2}).to(latent.scalar_type());
  // As published, where beta weighs the codes' term and not the encoder's.
  const auto loss = (codes.detach() - latent).square().mean() + kCommitment * (codes - latent.detach()).square().mean();
  return {latent + (codes - latent).detach(), indices, loss};
}

at::Tensor AutoencoderImpl::decode_not_quantised(const at::Tensor& latent) {
  check_map(latent, options_.embed_dim, "latent");
  return decodings_.run(*this, {latent}, {}, [this](const std::vector<at::Tensor>& inputs) {
    const auto input = inputs[0].to(quant_conv_->weight.scalar_type());
    return decoder_->forward(post_quant_lora_ ? post_quant_lora_->forward(input) : post_quant_conv_(input)).to(inputs[0].scalar_type());
  });
}

at::Tensor AutoencoderImpl::decode_indices(const at::Tensor& indices) {
  if (indices.dim() != 3 || indices.numel() == 0 || indices.is_floating_point()) {
    throw UsageError(fmt::format("code indices have shape [{}]; they must be integers [N,h,w]", fmt::join(indices.sizes(), ",")));
  }
  const auto codes = indices.to(codes_.device(), torch::kInt64);
  if (codes.min().item<int64_t>() < 0 || codes.max().item<int64_t>() >= options_.n_embed) {
    throw UsageError(fmt::format("code indices must lie in 0..{}; these reach from {} to {}", options_.n_embed - 1,
                                 codes.min().item<int64_t>(), codes.max().item<int64_t>()));
  }
  return decode_not_quantised(at::embedding(codes_, codes).permute({0, 3, 1, 2}).contiguous());
}

}  // namespace lpnsr
