#pragma once
// Two-dimensional convolution with gradients: Winograd's on the CPU where it fits, else LibTorch's operator.
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include "core/group_norm.h"
#include "core/kept.h"
#include "core/linear.h"

namespace lpnsr {

// x [N,C,H,W], weight [K,C,k,k], bias [K] or undefined, zeros around. Heeds autocast like at::conv2d. `read`: the weight as it is read
// where no gradient in it is wanted or Winograd's form computes it; undefined: the weight itself.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding,
                    const at::Tensor& read = {});

// [N,C,H,W] to [N,C,2H,2W] by repetition.
at::Tensor twice_as_large(const at::Tensor& x);

// torch.nn.Conv2d without dilation and groups.
class Conv2dImpl : public torch::nn::Conv2dImpl, public Prepared {
 public:
  using torch::nn::Conv2dImpl::Conv2dImpl;
  at::Tensor forward(const at::Tensor& x) { return forward_with(x, {}); }
  at::Tensor forward_with(const at::Tensor& x, const Epilogue& epilogue);
  at::Tensor forward_enlarged(const at::Tensor& x);  // of twice_as_large(x)
  // The weight for `convolve` to read: in bfloat16 and channels-last, without gradient, where it is in float32, autocast on the CPU wants
  // that and it is frozen or Winograd's form may read it; else the weight itself. Kept until the weight is written to: for all passes of a
  // training step, and for good where it is frozen.
  at::Tensor read_weight();
  void prepare() override;

 private:
  int64_t stride() const { return options.stride()->at(0); }
  int64_t padding() const { return std::get<torch::ExpandingArray<2>>(options.padding())->at(0); }

  Kept<c10::ScalarType, at::Tensor> converted_;
  PackedWeight packed_;  // of a 1x1 convolution
};
TORCH_MODULE(Conv2d);

// torch.nn.GroupNorm.
class GroupNormImpl : public torch::nn::GroupNormImpl {
 public:
  using torch::nn::GroupNormImpl::GroupNormImpl;
  at::Tensor forward(const at::Tensor& x);
  GroupNormOptions with_silu(bool silu) const { return {options.num_groups(), options.eps(), silu}; }
};
TORCH_MODULE(GroupNorm);

// convolution(SiLU(group_norm(x; weight, bias))) + residual (may be undefined), in one reading of x where no gradient is wanted. weight and
// bias as in group_norm; the norm's own where they are undefined.
at::Tensor norm_silu_convolve(const GroupNorm& norm, Conv2d& convolution, const at::Tensor& x, const at::Tensor& residual = {},
                              const at::Tensor& weight = {}, const at::Tensor& bias = {});

}  // namespace lpnsr
