#pragma once
// The transformer blocks of SwinIR: windowed self-attention with the usual (not transposed) mask of shifted windows, on tokens kept as
// [N,H,W,C].
#include <memory>
#include <string>

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include "diffusion/window_bias.h"

namespace lpnsr::swinir {

struct BlockOptions {
  int64_t dim = 0, heads = 0, window = 0, mlp_dim = 0;
  int64_t trained_side = 0;  // decides the size of the stored mask, and that there is no shift where one window covers it
};

// [windows, window^2, window^2]: 0 where two tokens of a shifted window come from neighbouring places, -100 where the roll brought them
// together.
at::Tensor shifted_window_mask(int64_t height, int64_t width, int64_t window);

class WindowAttentionImpl : public torch::nn::Module {
 public:
  explicit WindowAttentionImpl(const BlockOptions& options);
  // x [N,H,W,C] -> [N,H,W,C]; `residual`, of that shape, is added. mask [windows, window^2, window^2] of H x W, looked at where shift > 0.
  at::Tensor forward(const at::Tensor& x, int64_t shift, const at::Tensor& mask, const at::Tensor& residual);
  void prepare(int64_t shift);

 private:
  WindowBias bias(int64_t shift, c10::ScalarType type);
  at::Tensor attend(const at::Tensor& qkv, int64_t shift, const at::Tensor& mask);

  int64_t window_, heads_;
  KeptBias bias_;
  WindowMasks shifted_masks_;  // where the windows are shifted
  at::Tensor relative_position_bias_table_, relative_position_index_;
  LinearLayer qkv_{nullptr}, proj_{nullptr};
};
TORCH_MODULE(WindowAttention);

class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int64_t dim, int64_t hidden);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& residual);  // residual + mlp(x)

 private:
  LinearLayer fc1_, fc2_;
};
TORCH_MODULE(Mlp);

class SwinBlockImpl : public torch::nn::Module, public Prepared {
 public:
  SwinBlockImpl(const BlockOptions& options, bool shifted);
  // x [N,H,W,C] with sides that are multiples of the window; `mask` is that of H x W, used by shifted blocks.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& mask);
  void prepare() override { attn_->prepare(shift_); }

 private:
  int64_t shift_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  WindowAttention attn_{nullptr};
  Mlp mlp_{nullptr};
};
TORCH_MODULE(SwinBlock);

// The convolution at the end of a residual group: "1conv" or "3conv" (a bottleneck of a quarter of the channels).
struct ResidualConvolution {
  std::shared_ptr<torch::nn::Module> module;  // under the published names: a convolution, or a sequence of them
  torch::nn::Sequential run;
};
ResidualConvolution residual_convolution(int64_t dim, const std::string& kind);

// RSTB: blocks, a convolution, and a skip around both.
class ResidualGroupImpl : public torch::nn::Module {
 public:
  ResidualGroupImpl(const BlockOptions& options, int64_t depth, const std::string& resi_connection);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& mask);

 private:
  torch::nn::ModuleList blocks_;
  ResidualConvolution conv_;
};
TORCH_MODULE(ResidualGroup);

}  // namespace lpnsr::swinir
