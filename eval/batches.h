#pragma once
// Several pictures through a network at once, which is what a GPU gains from. A picture's result is that of the picture alone, up to the
// rounding of float32 (matrix products and convolutions are split otherwise).
#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace lpnsr {

// How many pictures a network is given at a time.
struct BatchSize {
  int64_t asked = 0;  // 0: one on a CPU, which gains nothing from more; on a GPU up to 16, fewer of large ones
  c10::Device device = c10::kCPU;
  int64_t most() const;              // whatever their size
  int64_t of(int64_t pixels) const;  // of this many pixels each
};

// images [N,C,H,W] and references of the same shape, or undefined -> [N,…]
using BatchWork = std::function<at::Tensor(const at::Tensor& images, const at::Tensor& references)>;

// Images [C,H,W] of any sizes, with references of the same or none: those of equal size go through `work` together. The results [count,…],
// in the images' order.
at::Tensor in_batches(const std::vector<at::Tensor>& images, const std::vector<at::Tensor>& references, const BatchSize& size,
                      const BatchWork& work);

}  // namespace lpnsr
