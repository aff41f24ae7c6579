#pragma once
// SwinIR, the regression network of PreSet-B's pre-upsampling. Names equal 003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth's.
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include "core/config.h"
#include "core/convolution.h"
#include "core/graphed_passes.h"
#include "diffusion/swinir_blocks.h"

namespace lpnsr {

struct SwinIROptions {  // defaults: SwinIR-L, real-world x4
  int64_t upscale = 4;
  int64_t in_chans = 3;
  int64_t img_size = 64;
  int64_t window_size = 8;
  double img_range = 1.0;
  std::vector<int64_t> depths = {6, 6, 6, 6, 6, 6, 6, 6, 6};
  int64_t embed_dim = 240;
  std::vector<int64_t> num_heads = {8, 8, 8, 8, 8, 8, 8, 8, 8};
  double mlp_ratio = 2.0;
  std::string upsampler = "nearest+conv";  // or pixelshuffle (classical)
  std::string resi_connection = "3conv";   // or 1conv
  void fields(FieldVisitor& v);
};

class SwinIRImpl : public torch::nn::Module {
 public:
  explicit SwinIRImpl(const SwinIROptions& options);
  at::Tensor forward(const at::Tensor& image);  // [N,3,H,W] in [0,1] -> [N,3,4H,4W], any size, not clamped

 private:
  at::Tensor deep_features(const at::Tensor& shallow, const at::Tensor& mask);
  at::Tensor reconstruct(at::Tensor features);

  SwinIROptions options_;
  GraphedPasses passes_;
  Conv2d conv_first_{nullptr};
  torch::nn::LayerNorm patch_norm_{nullptr}, norm_{nullptr};
  torch::nn::ModuleList layers_;
  swinir::ResidualConvolution conv_after_body_;
  torch::nn::Sequential conv_before_upsample_, upsample_;
  Conv2d conv_up1_{nullptr}, conv_up2_{nullptr}, conv_hr_{nullptr}, conv_last_{nullptr};
};
TORCH_MODULE(SwinIR);

}  // namespace lpnsr
