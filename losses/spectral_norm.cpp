#include "losses/spectral_norm.h"

namespace lpnsr {
namespace {

constexpr double kNormFloor = 1e-12;

at::Tensor normalised(const at::Tensor& vector) { return vector / vector.norm().clamp_min(kNormFloor); }

}  // namespace

SpectralConvImpl::SpectralConvImpl(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding)
    : stride_(stride), padding_(padding) {
  const torch::nn::Conv2d initial(torch::nn::Conv2dOptions(in_channels, out_channels, kernel));
  bias_ = register_parameter("bias", initial->bias);
  weight_ = register_parameter("weight_orig", initial->weight);
  u_ = register_buffer("weight_u", normalised(torch::randn(out_channels)));
  v_ = register_buffer("weight_v", normalised(torch::randn(in_channels * kernel * kernel)));
}

at::Tensor SpectralConvImpl::weight_matrix() const { return weight_.flatten(1); }

void SpectralConvImpl::power_iteration() {
  const torch::NoGradGuard no_grad;
  const auto matrix = weight_matrix();
  v_.copy_(normalised(matrix.t().mv(u_)));
  u_.copy_(normalised(matrix.mv(v_)));
}

at::Tensor SpectralConvImpl::sigma() const {
  // The copies keep the graph of this call valid when a later call iterates u and v in place.
  return torch::dot(u_.clone(), weight_matrix().mv(v_.clone()));
}

at::Tensor SpectralConvImpl::forward(const at::Tensor& input) {
  if (is_training()) power_iteration();
  // In the published trainer's layout: the weights' gradients of the channels-last kernels differ in more digits, and Adam's first steps,
  // the learning rate times a sign, turn them into another discriminator.
  return torch::conv2d(input.contiguous(), weight_ / sigma(), bias_, stride_, padding_);
}

}  // namespace lpnsr
