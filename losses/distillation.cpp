#include "losses/distillation.h"

namespace lpnsr {
namespace {

constexpr int64_t kHeadGroups = 32;

}  // namespace

at::Tensor squared_error(const at::Tensor& a, const at::Tensor& b) { return (a - b).square().mean({1, 2, 3}); }

at::Tensor rsd_loss(const at::Tensor& teacher, const at::Tensor& fake, const at::Tensor& z0) {
  return (teacher.square() - fake.square() + 2 * (fake - teacher) * z0).mean({1, 2, 3});
}

at::Tensor sid_normaliser(const at::Tensor& teacher, const at::Tensor& z0) {
  return (teacher.detach() - z0.detach()).abs().mean({1, 2, 3}) + 1e-8;
}

EncoderHeadImpl::EncoderHeadImpl(int64_t channels) {
  using torch::nn::Conv2dOptions;
  using torch::nn::GroupNormOptions;
  halve_ = register_module("0", torch::nn::Conv2d(Conv2dOptions(channels, channels, 4).stride(2).padding(1)));
  after_halve_ = register_module("1", torch::nn::GroupNorm(GroupNormOptions(kHeadGroups, channels)));
  quarter_ = register_module("3", torch::nn::Conv2d(Conv2dOptions(channels, channels, 4).stride(4)));
  after_quarter_ = register_module("4", torch::nn::GroupNorm(GroupNormOptions(kHeadGroups, channels)));
  last_ = register_module("6", torch::nn::Conv2d(Conv2dOptions(channels, 1, 1)));
}

at::Tensor EncoderHeadImpl::forward(const at::Tensor& features) {
  const at::Tensor halved = at::silu(after_halve_(halve_(features)));
  return last_(at::silu(after_quarter_(quarter_(halved)))).mean({1, 2, 3});
}

}  // namespace lpnsr
