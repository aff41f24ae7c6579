#pragma once
// Pictures as plain float planes: the operations of this folder run in many loader threads at once, where LibTorch's own would each start a
// team of threads.
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// Leaves new values as they come: each operation writes all of its result, and clearing it first would cost as much as a simple operation.
template <class T>
struct UninitialisedAllocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = UninitialisedAllocator<U>;
  };
  template <class U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <class U, class... Arguments>
  void construct(U* place, Arguments&&... arguments) {
    ::new (static_cast<void*>(place)) U(std::forward<Arguments>(arguments)...);
  }
};
template <class T>
using Buffer = std::vector<T, UninitialisedAllocator<T>>;

struct Planes {
  int64_t channels = 0, height = 0, width = 0;
  Buffer<float> values;  // [channels][height][width]

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
