#pragma once
// The VQ autoencoder (VQGAN, f = 4): encode does not quantise, decode does. Names equal autoencoder_vq_f4.pth's.
#include <memory>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "core/config.h"
#include "core/convolution.h"
#include "core/graphed_passes.h"

namespace lpnsr {

// [ddconfig] of the published configuration.
struct AutoencoderBackboneOptions {
  bool double_z = false;
  int64_t z_channels = 3;
  int64_t resolution = 256;
  int64_t in_channels = 3;
  int64_t out_ch = 3;
  int64_t ch = 128;
  std::vector<int64_t> ch_mult = {1, 2, 4};
  int64_t num_res_blocks = 2;
  int64_t norm_groups = 32;
  std::vector<int64_t> attn_resolutions = {};
  double dropout = 0.0;
  void fields(FieldVisitor& v);
};

struct AutoencoderOptions {
  int64_t embed_dim = 3;
  int64_t n_embed = 8192;
  bool lora_tune_decoder = false;
  int64_t lora_rank = 8;
  double lora_alpha = 1.0;
  AutoencoderBackboneOptions ddconfig;
  void fields(FieldVisitor& v);
  int64_t scale() const { return int64_t{1} << (ddconfig.ch_mult.size() - 1); }  // 4: image side / latent side
};

struct Quantised {
  at::Tensor latent;           // nearest codes with the straight-through gradient, z + (e - z)
  at::Tensor indices;          // int64 [N,h,w]
  at::Tensor commitment_loss;  // scalar, beta 0.25, as the published quantiser
};

class Encoder;
class Decoder;
class LoraConvolution;

class AutoencoderImpl : public torch::nn::Module {
 public:
  explicit AutoencoderImpl(const AutoencoderOptions& options);
  at::Tensor encode(const at::Tensor& image);                 // [N,3,H,W] in [-1,1] -> latent [N,3,H/4,W/4], not quantised
  Quantised quantise(const at::Tensor& latent);               // nearest code by squared distance, without forming all distances at once
  at::Tensor decode_not_quantised(const at::Tensor& latent);  // latent -> image, not clamped
  at::Tensor decode(const at::Tensor& latent) { return decode_not_quantised(quantise(latent).latent); }
  at::Tensor decode_indices(const at::Tensor& indices);
  const AutoencoderOptions& options() const { return options_; }

 private:
  AutoencoderOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Decoder> decoder_;
  at::Tensor codes_;  // [n_embed, embed_dim]
  Conv2d quant_conv_{nullptr};
  Conv2d post_quant_conv_{nullptr};                   // or, with lora_tune_decoder,
  std::shared_ptr<LoraConvolution> post_quant_lora_;  // this one
  GraphedPasses encodings_, decodings_;
};
TORCH_MODULE(Autoencoder);

}  // namespace lpnsr
