#pragma once
// From a LR picture of any size to its restoration: padding, patches, blending, colour fix, as the published inference script does it.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/system.h"

namespace lpnsr {

struct RestoreOptions {
  int64_t tile = 256;  // LR side above which patches are cut; 0: never
  int64_t tile_stride = 128;
  std::string color_fix = "wavelet";  // wavelet | adain | none
  int64_t pad_multiple = 64;          // of the LR side; a multiple of what the networks accept
  bool pad_power_of_two = true;       // published
  uint64_t seed = 12345;  // set right before an image's first draw, so that results depend on neither order nor count; the experiment's own
  void fields(FieldVisitor& v);
};

// [N,3,h,w] in [0,1] -> [N,3,4h,4w] in [0,1], not clamped.
using PreUpsampler = std::function<at::Tensor(const at::Tensor& image)>;
PreUpsampler bicubic_pre_upsampler(int64_t scale);
PreUpsampler load_pre_upsampler(const SystemOptions& options, const std::filesystem::path& weights);

class Restorer {
 public:
  Restorer(SystemOptions system, RestoreOptions options, SwinUNet denoiser, NoisePredictor predictor, Autoencoder autoencoder,
           PreUpsampler pre_upsampler);
  // Loads what `system` names; the predictor only where the noise comes from it.
  static Restorer load(const SystemOptions& system, const RestoreOptions& options, const std::filesystem::path& weights);

  // lr [3,h,w] in [0,1], any size from 1x1; reference [3,4h,4w] for noise = optimal. Result [3,4h,4w] in [0,1] (float64 where patches were
  // blended). `observe` sees the chain of each patch.
  at::Tensor restore(const at::Tensor& lr, const std::optional<at::Tensor>& reference = std::nullopt,
                     const std::function<void(const ChainState&)>& observe = {}) const;
  void to(c10::Device device);

 private:
  // One patch: pre-upsampling, Algorithm 2, decoding; [1,3,h,w] in [0,1] -> [1,3,sh,sw] in [0,1].
  at::Tensor restore_patch(const at::Tensor& lr, const at::Tensor& reference, const DrawNormal& draw,
                           const std::function<void(const ChainState&)>& observe) const;

  RestoreOptions options_;
  int64_t scale_;
  c10::Device device_;
  SwinUNet denoiser_;
  NoisePredictor predictor_;
  Autoencoder autoencoder_;
  PreUpsampler pre_upsampler_;
  Sampler sampler_;
};

}  // namespace lpnsr
