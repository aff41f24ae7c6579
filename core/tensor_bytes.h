#pragma once
// Tensors made from the bytes of a file.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// Bytes of a contiguous tensor; nothing where the product overflows or a side is negative.
std::optional<uint64_t> byte_count(at::IntArrayRef shape, c10::ScalarType type);

// A new CPU tensor whose memory `fill(address, bytes)` writes. Truth values are made 0 or 1 whatever the bytes are. The shape's bytes must
// have been checked against what the file holds.
at::Tensor tensor_of_bytes(at::IntArrayRef shape, c10::ScalarType type, const std::function<void(void*, uint64_t)>& fill);

// A CPU tensor of bytes that lie somewhere already, and stay there for as long as it lives. Undefined where that cannot be: no bytes, truth
// values, an address that the type is not aligned to.
at::Tensor tensor_over_bytes(at::IntArrayRef shape, c10::ScalarType type, const std::shared_ptr<void>& bytes);

}  // namespace lpnsr
