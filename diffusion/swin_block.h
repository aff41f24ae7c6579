#pragma once
// Shifted-window attention of the UNet: windows of a group-normalised map attend within themselves, every second block with windows moved
// by half.
#include <memory>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include "diffusion/unet_blocks.h"
#include "diffusion/window_bias.h"

namespace lpnsr {

// The window of a level follows from the side it was trained with, not from the input's: a level no wider than the window is one window,
// never shifted.
int64_t effective_window(int64_t trained_side, int64_t window);

// [w*w, w*w]: the row of the relative-position table for each pair of tokens of a window.
at::Tensor relative_position_index(int64_t window);

// The mask of the shifted windows of a map of `rows` x `columns` windows, [rows*columns, w*w, w*w], 0 or -100. As published, with which the
// weights were trained: regions are bands of rows only, and inside a window the token at (r, c) carries the region of (c, r). So the last
// row of windows is split by the tokens' column, and no other window is masked.
at::Tensor shifted_window_mask(int64_t rows, int64_t columns, int64_t window, int64_t shift);

class WindowAttentionImpl : public torch::nn::Module {
 public:
  WindowAttentionImpl(int64_t channels, int64_t window, int64_t heads, double dropout);
  // x [N,C,H,W] -> [N,C,H,W]; `residual`, of that shape, is added. `mask` [w*w, w*w] of the last row of windows; undefined where the
  // windows are not shifted.
  at::Tensor forward(const at::Tensor& x, int64_t shift, const at::Tensor& mask, const at::Tensor& residual);
  void prepare(const at::Tensor& mask);

  using torch::nn::Module::to;
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Device device, bool non_blocking = false) override;

 private:
  // qkv [N,H,W,3C] -> [N,H,W,C], by the kernels, and by LibTorch's operators on copies of the windows.
  at::Tensor attend_in_place(const at::Tensor& qkv, const Windows& windows, const at::Tensor& mask);
  at::Tensor attend(const at::Tensor& qkv, int64_t shift, const at::Tensor& mask);
  WindowBias bias(const at::Tensor& mask, c10::ScalarType type);
  void keep_index_integral();

  int64_t window_, heads_;
  double dropout_;
  at::Tensor table_, index_;
  LinearLayer qkv_{nullptr}, proj_{nullptr};
  KeptBias bias_;
};
TORCH_MODULE(WindowAttention);

struct SwinLayerOptions {
  int64_t channels = 0;   // of the map
  int64_t embed_dim = 0;  // inside
  int64_t norm_groups = kNormGroups;
  int64_t heads = 0;
  int64_t window = 0;
  int64_t depth = 0;         // blocks
  int64_t trained_side = 0;  // side of the map in training
  double mlp_ratio = 4.0;
  double dropout = 0.0;
  bool patch_norm = false;
};

class SwinBlockImpl : public torch::nn::Module, public Prepared {
 public:
  SwinBlockImpl(const SwinLayerOptions& options, bool shifted);
  at::Tensor forward(const at::Tensor& x);
  void prepare() override;
  // Its activations are computed again in the backward pass instead of being kept.
  void recompute(bool on) { recomputed_ = on; }

 private:
  at::Tensor run(const at::Tensor& x);
  at::Tensor mask_of_last_row() const;

  int64_t shift_ = 0;
  double dropout_;
  bool recomputed_ = false;
  at::Tensor mask_;
  GroupNorm norm1_{nullptr}, norm2_{nullptr};
  WindowAttention attention_{nullptr};
  Conv2d fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(SwinBlock);

// 1x1 convolution in, blocks, 1x1 convolution out; no connection around them.
class SwinLayer : public UNetLayer {
 public:
  explicit SwinLayer(const SwinLayerOptions& options);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) override;

 private:
  Conv2d embed_{nullptr}, unembed_{nullptr};
  GroupNorm embed_norm_{nullptr}, unembed_norm_{nullptr};
  std::vector<SwinBlock> blocks_;
};

}  // namespace lpnsr
