#pragma once
// Spectral normalisation (Miyato et al. 2018) of a convolution, with the state of PyTorch's hook form: bias, weight_orig, weight_u,
// weight_v.
#include <cstdint>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

namespace lpnsr {

class SpectralConvImpl : public torch::nn::Module {
 public:
  SpectralConvImpl(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding);
  at::Tensor forward(const at::Tensor& input);  // in train mode each call makes one power iteration
  // u . (W v): the estimate of the largest singular value with the present u and v. Gradients flow to the weight, u and v are constants.
  at::Tensor sigma() const;

 private:
  void power_iteration();
  at::Tensor weight_matrix() const;
  int64_t stride_, padding_;
  at::Tensor bias_, weight_, u_, v_;
};
TORCH_MODULE(SpectralConv);

}  // namespace lpnsr
