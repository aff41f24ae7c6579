#pragma once
// What a piece of work costs: floating-point operations of its convolutions, matrix products and attention, and the memory that its
// tensors take at the most.
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace lpnsr {

struct WorkCount {
  double flops = 0;        // 2 for each multiply-add, backward passes and recomputation included
  int64_t peak_bytes = 0;  // of the tensors made meanwhile and alive together, on whatever device
  int64_t left_bytes = 0;  // of those that outlive the work: gradients, what layers keep
};

// Runs `work` and counts what this thread does, and autograd's threads for it.
WorkCount count_work(const std::function<void()>& work);

// For kernels of this program, which LibTorch does not see: what the direct form costs, whatever algorithm computes it.
void note_flops(double flops);

}  // namespace lpnsr
