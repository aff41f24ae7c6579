#include "diffusion/restorer.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"
#include "core/resize.h"
#include "diffusion/image_ops.h"

namespace lpnsr {
namespace {

void check(const RestoreOptions& options, const SwinUNetOptions& network, const std::string& which) {
  const int64_t multiple = side_multiple(network);
  const auto refuse = [&](const char* key, int64_t value) {
    throw UsageError(fmt::format("restore.{} is {}; the windows and levels of the {} need a multiple of {}", key, value, which, multiple));
  };
  if (options.pad_multiple < 1 || options.pad_multiple % multiple != 0) refuse("pad_multiple", options.pad_multiple);
  if (options.tile == 0) return;
  if (options.tile < 0 || options.tile % multiple != 0) refuse("tile", options.tile);
  if (options.tile_stride < 1 || options.tile_stride > options.tile) {
    throw UsageError(
        fmt::format("restore.tile_stride is {}; it must lie between 1 and restore.tile = {}", options.tile_stride, options.tile));
  }
}

at::Tensor fix_colors(const std::string& how, const at::Tensor& restored, const at::Tensor& upsampled) {
  if (how == "wavelet") return wavelet_color_fix(restored, upsampled);
  if (how == "adain") return adain_color_fix(restored, upsampled);
  if (how == "none") return restored;
  throw UsageError(fmt::format("restore.color_fix is '{}'; it must be wavelet, adain or none", how));
}

void check_picture(const at::Tensor& picture, const char* which) {
  if (picture.dim() == 3 && picture.size(0) == 3 && picture.size(1) > 0 && picture.size(2) > 0) return;
  throw UsageError(fmt::format("the {} must be a picture [3,H,W] of at least one pixel", which));
}

}  // namespace

void RestoreOptions::fields(FieldVisitor& v) {
  v.integer("tile", tile, Range{0, 1 << 20}, "side of the LR above which it is cut into patches of this size; 0: never");
  v.integer("tile_stride", tile_stride, Range{1, 1 << 20}, "distance between patches");
  v.choice("color_fix", color_fix, {"wavelet", "adain", "none"}, "gives the result the colours of the LR picture");
  v.integer("pad_multiple", pad_multiple, Range{1, 1 << 16}, "the LR picture is padded to multiples of this");
  v.boolean("pad_power_of_two", pad_power_of_two, "and then to powers of two, as published");
}

Restorer::Restorer(SystemOptions system, RestoreOptions options, SwinUNet denoiser, NoisePredictor predictor, Autoencoder autoencoder,
                   PreUpsampler pre_upsampler)
    : options_(std::move(options)),
      scale_(autoencoder->options().scale()),
      device_(autoencoder->parameters().front().device()),
      denoiser_(std::move(denoiser)),
      predictor_(std::move(predictor)),
      autoencoder_(std::move(autoencoder)),
      pre_upsampler_(std::move(pre_upsampler)),
      sampler_(ResidualShift(make_schedule(system.schedule)), denoiser_, predictor_, std::move(system.sampling)) {
  check(options_, denoiser_->options(), "denoiser");
  if (!predictor_.is_empty()) check(options_, predictor_->options(), "noise predictor");
}

Restorer Restorer::load(const SystemOptions& system, const RestoreOptions& options, const std::filesystem::path& weights) {
  const bool predicts = needs_predictor(system.sampling, make_schedule(system.schedule).steps());
  // Impossible options are told before seconds are spent on reading weights.
  check(options, system.denoiser, "denoiser");
  if (predicts) check(options, system.noise_predictor, "noise predictor");
  return Restorer(system, options, load_denoiser(system, weights),
                  predicts ? load_noise_predictor(system, weights) : NoisePredictor(nullptr), load_autoencoder(system, weights),
                  load_pre_upsampler(system, weights));
}

void Restorer::to(c10::Device device) {
  denoiser_->to(device);
  if (!predictor_.is_empty()) predictor_->to(device);
  autoencoder_->to(device);
  device_ = device;
}

at::Tensor Restorer::restore_patch(const at::Tensor& lr, const at::Tensor& reference, const DrawNormal& draw,
                                   const std::function<void(const ChainState&)>& observe) const {
  const auto encode = [this](const at::Tensor& image) { return autoencoder_.ptr()->encode(image * 2 - 1).to(image.scalar_type()); };
  SamplerInputs inputs;
  inputs.lq = lr * 2 - 1;
  inputs.y0 = encode(pre_upsampler_(lr));
  if (reference.defined()) inputs.reference = encode(reference);
  const auto x0 = sampler_.sample(inputs, draw, observe);
  const auto image = autoencoder_.ptr()->decode(x0).to(lr.scalar_type());
  return (image.clamp(-1, 1) + 1) / 2;
}

at::Tensor Restorer::restore(const at::Tensor& lr, const std::optional<at::Tensor>& reference,
                             const std::function<void(const ChainState&)>& observe) const {
  const torch::NoGradGuard no_grad;
  check_picture(lr, "LR image");
  const int64_t height = lr.size(1) * scale_, width = lr.size(2) * scale_;
  const auto prepare = [this](const at::Tensor& picture, int64_t multiple) {
    return pad_for_restoring(picture.to(device_, torch::kFloat32).unsqueeze(0), multiple, options_.pad_power_of_two);
  };
  const auto padded = prepare(lr, options_.pad_multiple);

  // The reference travels with the LR picture as further channels at its size, so that both are cut alike.
  at::Tensor cut = padded;
  if (reference && sampler_.options().noise == "optimal") {
    check_picture(*reference, "reference");
    if (reference->size(1) != height || reference->size(2) != width) {
      throw DataError(fmt::format("the reference is {}x{} pixels; {} times the LR image's would be {}x{}", reference->size(1),
                                  reference->size(2), scale_, height, width));
    }
    cut = torch::cat({padded, torch::pixel_unshuffle(prepare(*reference, options_.pad_multiple * scale_), scale_)}, 1);
  }

  auto generator = make_generator(options_.seed);
  const DrawNormal draw = [&generator](at::IntArrayRef shape) {
    return torch::randn(shape, generator, at::TensorOptions(torch::kFloat32));
  };
  const auto work = [&](const at::Tensor& patch) {
    const auto patch_reference = patch.size(1) > 3 ? torch::pixel_shuffle(patch.slice(1, 3), scale_) : at::Tensor();
    return restore_patch(patch.slice(1, 0, 3), patch_reference, draw, observe);
  };
  const bool tiled = options_.tile > 0 && std::max(padded.size(2), padded.size(3)) > options_.tile;
  const auto restored = tiled ? blend_patches(cut, options_.tile, options_.tile_stride, scale_, work) : work(cut);
  const auto fixed = fix_colors(options_.color_fix, restored, resize_bicubic_scale(padded, scale_));
  return fixed.clamp(0, 1)[0].slice(1, 0, height).slice(2, 0, width).contiguous();
}

}  // namespace lpnsr
