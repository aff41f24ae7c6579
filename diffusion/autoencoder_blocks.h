#pragma once
// Encoder and decoder of the VQGAN (taming-transformers' layout and names).
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include "core/convolution.h"
#include "diffusion/autoencoder.h"

namespace lpnsr {

// x + conv(SiLU(norm(conv(SiLU(norm(x)))))), eps 1e-6.
class AutoencoderResidual : public torch::nn::Module {
 public:
  AutoencoderResidual(int64_t in_channels, int64_t out_channels, const AutoencoderBackboneOptions& options);
  at::Tensor forward(const at::Tensor& x);

 private:
  double dropout_;
  GroupNorm norm1_{nullptr}, norm2_{nullptr};
  Conv2d conv1_{nullptr}, conv2_{nullptr}, shortcut_{nullptr};
};

// Every position attends to every other: one head as wide as the map.
class AutoencoderAttention : public torch::nn::Module {
 public:
  AutoencoderAttention(int64_t channels, const AutoencoderBackboneOptions& options);
  at::Tensor forward(const at::Tensor& x);

 private:
  GroupNorm norm_{nullptr};
  Conv2d q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr};
};

// Residual blocks of one resolution, each followed by attention where asked, then the change of resolution.
class AutoencoderLevel : public torch::nn::Module {
 public:
  // `side` of the level in training: it attends where attn_resolutions holds it.
  AutoencoderLevel(int64_t in_channels, int64_t out_channels, int64_t blocks, int64_t side, const AutoencoderBackboneOptions& options);
  void add_downsample(int64_t channels);  // pads a zero row and column at the end, then a strided convolution
  void add_upsample(int64_t channels);    // nearest neighbour x 2, then a convolution
  at::Tensor forward(const at::Tensor& x);

 private:
  std::vector<std::shared_ptr<AutoencoderResidual>> blocks_;
  std::vector<std::shared_ptr<AutoencoderAttention>> attentions_;
  Conv2d downsample_{nullptr}, upsample_{nullptr};
};

class AutoencoderMiddle : public torch::nn::Module {
 public:
  AutoencoderMiddle(int64_t channels, const AutoencoderBackboneOptions& options);
  at::Tensor forward(const at::Tensor& x);

 private:
  std::shared_ptr<AutoencoderResidual> block1_, block2_;
  std::shared_ptr<AutoencoderAttention> attention_;
};

class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(const AutoencoderBackboneOptions& options);
  at::Tensor forward(const at::Tensor& image);

 private:
  Conv2d conv_in_{nullptr}, conv_out_{nullptr};
  std::vector<std::shared_ptr<AutoencoderLevel>> levels_;
  std::shared_ptr<AutoencoderMiddle> middle_;
  GroupNorm norm_out_{nullptr};
};

class Decoder : public torch::nn::Module {
 public:
  explicit Decoder(const AutoencoderBackboneOptions& options);
  at::Tensor forward(const at::Tensor& latent);

 private:
  Conv2d conv_in_{nullptr}, conv_out_{nullptr};
  std::vector<std::shared_ptr<AutoencoderLevel>> levels_;  // the finest first
  std::shared_ptr<AutoencoderMiddle> middle_;
  GroupNorm norm_out_{nullptr};
};

// A 1x1 convolution with a trainable update of low rank: weight + (B A) alpha / rank. The weight itself is never changed, so saving is the
// same in training and in evaluation.
class LoraConvolution : public torch::nn::Module {
 public:
  LoraConvolution(int64_t in_channels, int64_t out_channels, int64_t rank, double alpha);
  at::Tensor forward(const at::Tensor& x);

 private:
  double scale_;
  at::Tensor a_, b_;
  Conv2d conv_{nullptr};
};

}  // namespace lpnsr
