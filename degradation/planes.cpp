#include "degradation/planes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/Functions.h>

#include "core/vectorised.h"

namespace lpnsr {

Planes planes_of(const at::Tensor& picture) {
  TORCH_CHECK(picture.dim() == 3, "[C,H,W] was expected, not ", picture.sizes());
  const at::Tensor plain = picture.detach().to(at::kCPU, at::kFloat).contiguous();
  Planes planes(plain.size(0), plain.size(1), plain.size(2));
  if (!planes.values.empty()) std::memcpy(planes.values.data(), plain.data_ptr<float>(), planes.values.size() * sizeof(float));
  return planes;
}

at::Tensor tensor_of(const Planes& picture) {
  at::Tensor tensor = at::empty({picture.channels, picture.height, picture.width}, at::kFloat);
  if (!picture.values.empty()) std::memcpy(tensor.data_ptr<float>(), picture.values.data(), picture.values.size() * sizeof(float));
  return tensor;
}

int64_t reflected(int64_t index, int64_t size) {
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  index = std::abs(index) % period;
  return index < size ? index : period - index;
}

LPNSR_VECTORISED void clamp01(Planes& picture) {
  float* values = picture.values.data();
  const size_t count = picture.values.size();
  for (size_t i = 0; i < count; ++i) values[i] = std::min(std::max(values[i], 0.0F), 1.0F);
}

LPNSR_VECTORISED void round_to_8_bits(Planes& picture) {
  float* values = picture.values.data();
  const size_t count = picture.values.size();
  for (size_t i = 0; i < count; ++i) values[i] = std::min(std::max(std::nearbyint(values[i] * 255.0F), 0.0F), 255.0F) / 255.0F;
}

}  // namespace lpnsr
