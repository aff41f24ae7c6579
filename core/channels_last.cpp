#include "core/channels_last.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace lpnsr {

bool kernels_fit(const at::Tensor& x) {
  const auto* k = kernels::kernels();
  return k != nullptr && x.dim() == 4 && x.device().is_cpu() && x.numel() > 0 && x.size(1) % k->lanes == 0 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

kernels::Map map_of(const at::Tensor& x) {
  return {.data = const_cast<void*>(x.const_data_ptr()),
          .bfloat16 = x.scalar_type() == at::kBFloat16,
          .batch = x.size(0),
          .height = x.size(2),
          .width = x.size(3),
          .channels = x.size(1)};
}

at::Tensor as_floats(const at::Tensor& values) {
  if (values.scalar_type() == at::kFloat && values.is_contiguous()) return values;
  if (values.scalar_type() != at::kBFloat16 || !values.is_contiguous()) return values.detach().to(at::kFloat).contiguous();
  const auto result = at::empty(values.sizes(), at::kFloat);
  std::copy_n(values.const_data_ptr<at::BFloat16>(), values.numel(), result.data_ptr<float>());
  return result;
}

}  // namespace lpnsr
