#include "core/channels_last.h"

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

}  // namespace lpnsr
