#pragma once
// The losses of the one-step students of ResShift, on latents [N,C,H,W]; squares and products are means over C, H and W of each picture.
#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

namespace lpnsr {

// Mean squared difference of each picture, [N].
at::Tensor squared_error(const at::Tensor& a, const at::Tensor& b);

// RSD's objective of the student (its Eq. 7 with the outer minus): |f*|^2 - |f|^2 + 2 <f - f*, z0> of each picture, [N], where `teacher` f*
// and `fake` f are what the two networks predict from q_sample(z0, t). It equals squared_error(teacher, z0) - squared_error(fake, z0).
at::Tensor rsd_loss(const at::Tensor& teacher, const at::Tensor& fake, const at::Tensor& z0);
// mean |f* - z0| of each picture, [N], without gradient, never 0: what SiD and the released RSD trainer divide the loss by.
at::Tensor sid_normaliser(const at::Tensor& teacher, const at::Tensor& z0);

// DMD2's classification branch on the encoder's features: two strided convolutions and a 1x1 one. Names 0 to 6, as of a Sequential.
class EncoderHeadImpl : public torch::nn::Module {
 public:
  explicit EncoderHeadImpl(int64_t channels);
  // [N,C,h,w] with sides of 8 or more -> logits [N], their mean where there are several places.
  at::Tensor forward(const at::Tensor& features);

 private:
  torch::nn::Conv2d halve_{nullptr}, quarter_{nullptr}, last_{nullptr};
  torch::nn::GroupNorm after_halve_{nullptr}, after_quarter_{nullptr};
};
TORCH_MODULE(EncoderHead);

}  // namespace lpnsr
