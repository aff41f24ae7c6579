#pragma once
// RRDBNet (ESRGAN), the pre-upsampler of RealESRGAN and BSRGAN. The module has RealESRGAN's key names; rename_old_rrdb_keys reads BSRGAN's.
#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>

#include "core/config.h"
#include "core/convolution.h"
#include "core/state_dict.h"

namespace lpnsr {

struct RRDBNetOptions {
  int64_t num_in_ch = 3;
  int64_t num_out_ch = 3;
  int64_t scale = 4;  // 2 and 1 unshuffle the input first
  int64_t num_feat = 64;
  int64_t num_block = 23;
  int64_t num_grow_ch = 32;
  void fields(FieldVisitor& v);
};

class RRDBNetImpl : public torch::nn::Module {
 public:
  explicit RRDBNetImpl(const RRDBNetOptions& options);
  at::Tensor forward(const at::Tensor& image);  // [N,3,H,W] in [0,1] -> [N,3,sH,sW], not clamped

 private:
  RRDBNetOptions options_;
  Conv2d conv_first_{nullptr}, conv_body_{nullptr}, conv_up1_{nullptr}, conv_up2_{nullptr}, conv_hr_{nullptr}, conv_last_{nullptr};
  torch::nn::Sequential body_;
};
TORCH_MODULE(RRDBNet);

// RRDB_trunk.*, upconv*, HRconv, trunk_conv (ESRGAN, BSRGAN) to today's names; keys already new are kept.
StateDict rename_old_rrdb_keys(const StateDict& weights);

}  // namespace lpnsr
