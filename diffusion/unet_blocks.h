#pragma once
// The parts of the UNet (guided diffusion's): the layers of a stage share one interface, and their names are those of the published
// checkpoints.
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include "core/kept.h"
#include "diffusion/layers.h"

namespace lpnsr {

constexpr double kUNetNormEps = 1e-5;

// x [N,C,H,W]; `embedding` is SiLU(time embedding), [N,E] or [1,E] for all.
class UNetLayer : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) = 0;
};

enum class Resample { none, down, up };

struct ResidualBlockOptions {
  int64_t in_channels = 0, out_channels = 0, embedding_channels = 0;
  int64_t norm_groups = kNormGroups;
  bool scale_shift_norm = true;
  double dropout = 0.0;
  Resample resample = Resample::none;
};

class ResidualBlock : public UNetLayer {
 public:
  explicit ResidualBlock(const ResidualBlockOptions& options);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) override;

 private:
  // norm(h) (1 + scale) + shift, scale and shift from the time step: a normalisation with weights of its own, as many as
  // there are embeddings.
  struct Modulation {
    at::Tensor weight, bias;
  };
  struct SameTensor {
    at::Tensor tensor;
    bool operator==(const SameTensor& other) const { return tensor.is_same(other.tensor); }
  };
  Modulation modulation(const at::Tensor& embedding);

  ResidualBlockOptions options_;
  GroupNorm in_norm_{nullptr}, out_norm_{nullptr};
  Conv2d in_conv_{nullptr}, out_conv_{nullptr}, skip_{nullptr};
  torch::nn::Linear embedding_{nullptr};
  Kept<SameTensor, Modulation> modulations_;  // of a chain's steps
};

// A strided 3x3 convolution, or an average over 2x2 where `learned` is off.
class Downsample : public UNetLayer {
 public:
  Downsample(int64_t in_channels, int64_t out_channels, bool learned);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) override;

 private:
  Conv2d op_{nullptr};
};

// Nearest neighbour x 2, then a 3x3 convolution where `learned`.
class Upsample : public UNetLayer {
 public:
  Upsample(int64_t channels, bool learned);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) override;

 private:
  Conv2d conv_{nullptr};
};

// Layers named 0, 1, ... that run one after the other.
class UNetStage : public torch::nn::Module {
 public:
  void add(std::shared_ptr<UNetLayer> layer);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding);

 private:
  std::vector<std::shared_ptr<UNetLayer>> layers_;
};

}  // namespace lpnsr
