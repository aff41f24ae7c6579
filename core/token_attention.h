#pragma once
// Attention of all tokens of a map to one another, as autoencoders have it.
#include <ATen/core/Tensor.h>

namespace lpnsr {

// softmax(q k^T / sqrt(C)) v for tokens [N,1,T,C], with gradients; what is kept for them and what is made meanwhile grows with T, not its
// square. LibTorch's operator, except for bfloat16 on a CPU: that leaves its products to MKL, which multiplies in float32 where the
// processor is not Intel's.
at::Tensor token_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace lpnsr
