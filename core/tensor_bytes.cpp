#include "core/tensor_bytes.h"

#include <limits>

#include <ATen/ops/from_blob.h>

namespace lpnsr {

std::optional<uint64_t> byte_count(at::IntArrayRef shape, c10::ScalarType type) {
  // Empty tensors count too: the product of the other sides must still be one that LibTorch can compute.
  int64_t total = static_cast<int64_t>(c10::elementSize(type));
  bool empty = false;
  for (const int64_t side : shape) {
    if (side < 0) return std::nullopt;
    if (side == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(total, side, &total)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<uint64_t>(total);
}

at::Tensor tensor_of_bytes(at::IntArrayRef shape, c10::ScalarType type, const std::function<void(void*, uint64_t)>& fill) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type == at::kBool ? at::kByte : type));
  fill(tensor.data_ptr(), tensor.nbytes());
  return type == at::kBool ? tensor.ne(0) : tensor;
}

at::Tensor tensor_over_bytes(at::IntArrayRef shape, c10::ScalarType type, const std::shared_ptr<void>& bytes) {
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.get()) % c10::elementSize(type) == 0;
  if (!bytes || type == at::kBool || !aligned) return {};
  return at::from_blob(
      bytes.get(), shape, [bytes](void*) {}, at::TensorOptions().dtype(type));
}

}  // namespace lpnsr
