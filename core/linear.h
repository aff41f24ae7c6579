#pragma once
// Matrix products with a layer's weight, with what follows them done in the same writing of the result where no gradient is wanted.
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include "core/kept.h"

namespace lpnsr {

// What becomes of a product: gelu(product) or product + residual.
struct Epilogue {
  bool gelu = false;
  at::Tensor residual = {};  // of the result's shape; undefined: nothing
};

// Of a result that was computed without it.
at::Tensor followed(at::Tensor product, const Epilogue& epilogue);

// A weight laid out as products in bfloat16 read it (oneDNN's layout), kept until it is written to; its transpose too, for gradients.
class PackedWeight {
 public:
  // Whether `multiply` takes them: x in bfloat16, or autocast to it, on a CPU with products in bfloat16.
  static bool fits(const at::Tensor& x, const at::Tensor& weight);
  // epilogue(x weight^T + bias): x [...,in], weight [out,in] or [out,in,1,1], bias [out] or undefined -> [...,out], dense. Rounded once
  // where no gradient is wanted; with gradients in all of them.
  at::Tensor multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Epilogue& epilogue);
  void prepare(const at::Tensor& weight);

 private:
  enum class Side { forward, backward };
  at::Tensor packed(const at::Tensor& weight, Side side);
  Kept<Side, at::Tensor> packed_;
};

// torch.nn.Linear.
class LinearLayerImpl : public torch::nn::LinearImpl, public Prepared {
 public:
  using torch::nn::LinearImpl::LinearImpl;
  at::Tensor forward(const at::Tensor& x) { return forward_with(x, {}); }
  at::Tensor forward_with(const at::Tensor& x, const Epilogue& epilogue);
  void prepare() override;

 private:
  PackedWeight packed_;
};
TORCH_MODULE(LinearLayer);

}  // namespace lpnsr
