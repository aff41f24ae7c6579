#pragma once
// g_w of Eq. 11: from x_t (unscaled), the denoiser's x0, the LR image and t to a diagonal Gaussian over the noise map.
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "diffusion/swin_unet.h"

namespace lpnsr {

struct DiagonalGaussian {
  at::Tensor mean, logvar;                                                // logvar clamped to [-30, 20]
  static DiagonalGaussian from_parameters(const at::Tensor& parameters);  // [N,2C,H,W]
  at::Tensor std() const;
  at::Tensor sample(const at::Tensor& eps) const;                 // mean + exp(logvar/2) eps
  at::Tensor kl_to_standard_normal() const;                       // [N]
  at::Tensor negative_log_likelihood(const at::Tensor& x) const;  // [N]
};

// Options are those of the denoiser; the input becomes x_t, x0, lq (3 x 3 channels), the output 2 x out_channels.
class NoisePredictorImpl : public SwinUNetImpl {
 public:
  explicit NoisePredictorImpl(const SwinUNetOptions& options);
  DiagonalGaussian forward(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& lq, const at::Tensor& t);
};
TORCH_MODULE(NoisePredictor);

}  // namespace lpnsr
