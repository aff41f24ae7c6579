#pragma once
// Pictures as plain float planes: the operations of this folder run in many loader threads at once, where LibTorch's own would each start a
// team of threads.
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

struct Planes {
  int64_t channels = 0, height = 0, width = 0;
  std::vector<float> values;  // [channels][height][width]

  Planes() = default;
  Planes(int64_t c, int64_t h, int64_t w) : channels(c), height(h), width(w), values(static_cast<size_t>(c * h * w)) {}
  int64_t area() const { return height * width; }
  float* plane(int64_t c) { return values.data() + c * area(); }
  const float* plane(int64_t c) const { return values.data() + c * area(); }
  float* row(int64_t c, int64_t y) { return plane(c) + y * width; }
  const float* row(int64_t c, int64_t y) const { return plane(c) + y * width; }
};

Planes planes_of(const at::Tensor& picture);  // [C,H,W]
at::Tensor tensor_of(const Planes& picture);

// The index inside [0, size) that mirroring at the outermost pixels, which are not repeated, leads to; any distance.
int64_t reflected(int64_t index, int64_t size);

void clamp01(Planes& picture);
// clamp(round(255 x), 0, 255) / 255, half to even.
void round_to_8_bits(Planes& picture);

}  // namespace lpnsr
