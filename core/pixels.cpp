#include "core/pixels.h"

#include <ATen/ATen.h>

#include "core/channels_last.h"

namespace lpnsr {

at::Tensor channel_sums(const at::Tensor& x) {
  const int64_t channels = x.size(-1);
  const auto* k = kernels::kernels();
  // LibTorch would first write a copy of x in float32.
  if (k == nullptr || x.scalar_type() != at::kBFloat16 || channels % k->lanes != 0 || x.numel() == 0)
    return x.reshape({-1, channels}).sum(0, false, at::kFloat);
  const auto dense = x.contiguous();
  const auto map = map_of(dense.view({1, 1, -1, channels}).permute({0, 3, 1, 2}));  // one row of pixels
  const std::vector<float> zero(static_cast<size_t>(channels), 0.0F);
  const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* square) {
    k->moments(map, picture, first, last, zero.data(), sum, square);
  });
  auto result = at::empty({channels}, at::kFloat);
  std::copy(sums.one.begin(), sums.one.end(), result.data_ptr<float>());
  return result;
}

}  // namespace lpnsr
