#include "diffusion/swinir.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/gradients.h"
#include "diffusion/image_ops.h"
#include "diffusion/layers.h"

namespace lpnsr {
namespace {

constexpr int64_t kUpsamplerFeatures = 64;
// Mean colour of DIV2K, taken off before and added after; it is in no state_dict.
constexpr double kMeanColour[] = {0.4488, 0.4371, 0.4040};

void check(const SwinIROptions& options) {
  const auto refuse = [](const std::string& why) { throw UsageError("swinir: " + why); };
  if (options.depths.empty() || options.depths.size() != options.num_heads.size()) {
    refuse(fmt::format("depths has {} entries and num_heads {}; one of each is needed for every group", options.depths.size(),
                       options.num_heads.size()));
  }
  for (const int64_t heads : options.num_heads) {
    if (options.embed_dim % heads != 0) refuse(fmt::format("embed_dim {} cannot be divided among {} heads", options.embed_dim, heads));
  }
  if (options.img_size < options.window_size) {
    refuse(fmt::format("img_size {} is smaller than window_size {}", options.img_size, options.window_size));
  }
  if (options.img_size % options.window_size != 0) {
    refuse(fmt::format("img_size {} is no multiple of window_size {}", options.img_size, options.window_size));
  }
  const bool power_of_two = options.upscale > 0 && (options.upscale & (options.upscale - 1)) == 0;
  if (options.upsampler == "nearest+conv" && options.upscale != 4 && options.upscale != 2) {
    refuse(fmt::format("the upsampler nearest+conv enlarges 2 or 4 times, not {}", options.upscale));
  }
  if (options.upsampler == "pixelshuffle" && !power_of_two && options.upscale != 3) {
    refuse(fmt::format("the upsampler pixelshuffle enlarges 3 or 2^n times, not {}", options.upscale));
  }
}

}  // namespace

void SwinIROptions::fields(FieldVisitor& v) {
  v.integer("upscale", upscale, Range{1, 16}, "enlargement");
  v.integer("in_chans", in_chans, Range{1, 64}, "channels of the picture");
  v.integer("img_size", img_size, Range{1, 4096}, "side of the training patches: decides the shift and the stored masks");
  v.integer("window_size", window_size, Range{2, 64}, "side of the attention windows");
  v.real("img_range", img_range, positive, "largest value of the picture");
  v.integers("depths", depths, Range{1, 64}, "blocks of each residual group");
  v.integer("embed_dim", embed_dim, Range{4, 8192}, "channels of the trunk");
  v.integers("num_heads", num_heads, Range{1, 256}, "attention heads of each residual group");
  v.real("mlp_ratio", mlp_ratio, positive, "hidden width of the MLPs relative to embed_dim");
  v.choice("upsampler", upsampler, {"nearest+conv", "pixelshuffle"}, "nearest+conv (real-world) or pixelshuffle (classical)");
  v.choice("resi_connection", resi_connection, {"3conv", "1conv"}, "convolution at the end of each group");
}

SwinIRImpl::SwinIRImpl(const SwinIROptions& options) : options_(options) {
  check(options);
  const int64_t dim = options.embed_dim;
  const auto norm = [dim] { return torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})); };
  conv_first_ = register_module("conv_first", convolution(options.in_chans, dim, 3));
  patch_norm_ = register_module("patch_embed", std::make_shared<torch::nn::Module>("PatchEmbed"))->register_module("norm", norm());
  layers_ = register_module("layers", torch::nn::ModuleList());
  for (size_t i = 0; i < options.depths.size(); ++i) {
    const swinir::BlockOptions block{dim, options.num_heads[i], options.window_size,
                                     static_cast<int64_t>(static_cast<double>(dim) * options.mlp_ratio), options.img_size};
    layers_->push_back(swinir::ResidualGroup(block, options.depths[i], options.resi_connection));
  }
  norm_ = register_module("norm", norm());
  conv_after_body_ = swinir::residual_convolution(dim, options.resi_connection);
  register_module("conv_after_body", conv_after_body_.module);

  const int64_t features = kUpsamplerFeatures;
  conv_before_upsample_ =
      register_module("conv_before_upsample", torch::nn::Sequential(convolution(dim, features, 3), torch::nn::LeakyReLU()));
  if (options.upsampler == "pixelshuffle") {
    upsample_ = register_module("upsample", torch::nn::Sequential());
    for (int64_t left = options.upscale; left > 1;) {
      const int64_t factor = left == 3 ? 3 : 2;
      upsample_->push_back(convolution(features, factor * factor * features, 3));
      upsample_->push_back(torch::nn::PixelShuffle(factor));
      left /= factor;
    }
  } else {
    conv_up1_ = register_module("conv_up1", convolution(features, features, 3));
    if (options.upscale == 4) conv_up2_ = register_module("conv_up2", convolution(features, features, 3));
    conv_hr_ = register_module("conv_hr", convolution(features, features, 3));
  }
  conv_last_ = register_module("conv_last", convolution(features, options.in_chans, 3));
}

at::Tensor SwinIRImpl::deep_features(const at::Tensor& shallow, const at::Tensor& mask) {
  auto tokens = patch_norm_(shallow.permute({0, 2, 3, 1}).contiguous());
  for (const auto& layer : *layers_) tokens = layer->as<swinir::ResidualGroup>()->forward(tokens, mask);
  return norm_(tokens).permute({0, 3, 1, 2});
}

at::Tensor SwinIRImpl::reconstruct(at::Tensor features) {
  const auto leaky = [](at::Tensor x) { return wants_gradient({x}) ? at::leaky_relu(x, 0.2) : at::leaky_relu_(x, 0.2); };
  features = conv_before_upsample_->forward(features);
  if (options_.upsampler == "pixelshuffle") return conv_last_(options_.upscale > 1 ? upsample_->forward(features) : features);
  features = leaky(conv_up1_->forward_enlarged(features));
  if (options_.upscale == 4) features = leaky(conv_up2_->forward_enlarged(features));
  return conv_last_(leaky(conv_hr_(features)));
}

at::Tensor SwinIRImpl::forward(const at::Tensor& image) {
  const int64_t height = image.size(-2), width = image.size(-1), window = options_.window_size;
  const auto mean = options_.in_chans == 3 ? torch::tensor(at::ArrayRef<double>(kMeanColour), image.options()).view({1, 3, 1, 1})
                                           : torch::zeros({1, 1, 1, 1}, image.options());
  const auto whole = pad_mirrored(image, round_up(height, window), round_up(width, window), Mirror::skip_edge);
  const auto mask = swinir::shifted_window_mask(whole.size(2), whole.size(3), window).to(image.device());
  const auto pass = [this](const std::vector<at::Tensor>& inputs) {
    const auto shallow = conv_first_(inputs[0]);
    return reconstruct(conv_after_body_.run->forward(deep_features(shallow, inputs[1])) + shallow);
  };
  const auto large = passes_.run(*this, {(whole - mean) * options_.img_range, mask}, {}, pass) / options_.img_range + mean;
  return large.slice(-2, 0, height * options_.upscale).slice(-1, 0, width * options_.upscale).contiguous();
}

}  // namespace lpnsr
