#pragma once
// From a LR picture of any size to its restoration: padding, patches, blending, colour fix, as the published inference script does it.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image.h"
#include "diffusion/memory_plan.h"
#include "diffusion/system.h"

namespace lpnsr {

struct RestoreOptions {
  // lpnsr: the picture is padded, then cut into patches, blended by Gaussians, 8 bits truncated. sinsr (RSD too): it is cut first, each
  // patch is padded by reflection without its edge pixel, overlaps are averaged, 8 bits rounded.
  std::string procedure = "lpnsr";
  int64_t tile = 256;  // LR side above which patches are cut; 0: never
  int64_t tile_stride = 128;
  std::string color_fix = "wavelet";  // wavelet | adain | none
  int64_t pad_multiple = 64;          // of the LR side; a multiple of what the networks accept
  bool pad_power_of_two = true;       // published
  int64_t tile_batch = 1;             // patches that go through the networks at a time
  double memory = 0.0;                // GiB that the process may take, or the GPU; 0: as published, whatever that takes
  bool cuda_graphs = true;            // on a GPU, passes of sizes that come again are recorded; not where the memory is bounded
  bool pre_upsample_only = false;     // the result is the start of the chain: what a regression method alone makes
  uint64_t seed = 12345;  // set right before an image's first draw, so that results depend on neither order nor count; the experiment's own
  void fields(FieldVisitor& v);
};

// [N,3,h,w] in [0,1] -> [N,3,4h,4w] in [0,1], not clamped.
using PreUpsampler = std::function<at::Tensor(const at::Tensor& image)>;
PreUpsampler bicubic_pre_upsampler(int64_t scale);
PreUpsampler load_pre_upsampler(const SystemOptions& options, const std::filesystem::path& weights,
                                c10::ScalarType precision = c10::kFloat);

class Restorer {
 public:
  Restorer(SystemOptions system, RestoreOptions options, SwinUNet denoiser, NoisePredictor predictor, Autoencoder autoencoder,
           PreUpsampler pre_upsampler);
  // Loads what `system` names; the predictor only where the noise comes from it. The networks compute in `precision`, everything between
  // them in float32.
  static Restorer load(const SystemOptions& system, const RestoreOptions& options, const std::filesystem::path& weights,
                       c10::ScalarType precision = c10::kFloat);

  using Observe = std::function<void(const ChainState&)>;
  // lr [3,h,w] in [0,1], any size from 1x1; reference [3,4h,4w] for noise = optimal. Result [3,4h,4w] in [0,1] (float64 where patches were
  // blended as published). `observe` sees the chain of each patch, or batch of patches.
  at::Tensor restore(const at::Tensor& lr, const std::optional<at::Tensor>& reference = std::nullopt, const Observe& observe = {}) const;
  // The same, given to `take` from top to bottom as rows [3,n,4w]. With options.memory, a picture too large for one patch is never whole
  // in memory at its final size: pre-upsampler, encoder, denoiser, predictor and decoder see it in patches that overlap and are blended,
  // as large as the memory allows and at most options.tile, while the chain runs on the whole latent map; `observe` then sees that chain.
  // A picture that fits into one patch is restored as published. Throws Error where not even the smallest patches fit.
  using TakeRows = std::function<void(const at::Tensor& rows)>;
  void restore_rows(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe, const TakeRows& take) const;
  // Latent [N,3,h,w] -> picture [N,3,4h,4w] in [0,1], in patches where the memory asks for them.
  at::Tensor decode(const at::Tensor& latent) const;

  void to(c10::Device device);
  void set_seed(uint64_t seed) { options_.seed = seed; }
  void set_memory(double gib) { options_.memory = gib; }
  // GiB that a LR picture of this size takes as published, networks included: an estimate.
  double published_memory(int64_t height, int64_t width) const;
  double least_memory(int64_t height, int64_t width) const;  // the same with the smallest patches
  // GiB that may be asked of the device for all: what is held and most of what is free.
  double memory_at_hand() const;
  int64_t scale() const { return scale_; }
  Rounding rounding() const { return options_.procedure == "sinsr" ? Rounding::nearest : Rounding::truncate; }

 private:
  // Padded as the procedure does it, [1,3,H,W] on the device.
  at::Tensor prepared(const at::Tensor& picture, int64_t multiple, bool power_of_two) const;
  void check_reference(const at::Tensor& lr, const at::Tensor& reference) const;
  at::Tensor encode(const at::Tensor& image) const;  // [N,3,H,W] in [0,1]
  at::Tensor restore_sinsr(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe) const;
  at::Tensor restore_published(const at::Tensor& lr, const std::optional<at::Tensor>& reference, const Observe& observe) const;
  void restore_bounded(const at::Tensor& lr, int64_t side, const std::optional<at::Tensor>& reference, const Observe& observe,
                       const TakeRows& take) const;
  int64_t published_side(int64_t length) const;  // of the padded picture
  int64_t patch_step() const;                    // what the sides of patches are multiples of
  // Largest side of the patches for a LR picture of this (padded) size.
  int64_t patch_side(int64_t height, int64_t width) const;
  // Patches: pre-upsampling, Algorithm 2, decoding; [N,3,h,w] in [0,1] -> [N,3,sh,sw] in [0,1].
  at::Tensor restore_patches(const at::Tensor& lr, const at::Tensor& reference, const DrawNormal& draw, const Observe& observe) const;
  RestoreMemory memory() const { return {denoiser_->options(), autoencoder_->options()}; }
  double held() const;  // bytes of networks and program

  RestoreOptions options_;
  int64_t scale_;
  c10::Device device_;
  SwinUNet denoiser_;
  NoisePredictor predictor_;
  Autoencoder autoencoder_;
  PreUpsampler pre_upsampler_;
  Sampler sampler_;
  int64_t resident_ = 0;  // bytes that the process held when the networks were there
};

}  // namespace lpnsr
