#pragma once
// The safetensors format: eight bytes of header length, a JSON header, the tensors' bytes without gaps.
#include <map>
#include <ostream>
#include <string>
#include <utility>

#include "core/byte_source.h"
#include "core/state_dict.h"

namespace lpnsr {

struct SafetensorsContent {
  StateDict tensors;  // in the header's order
  std::map<std::string, std::string> metadata;
};

// Whether the source begins as a safetensors file does, damaged or not.
bool looks_like_safetensors(const ByteSource& source);
// Throws DataError for everything that the official reader refuses: a header that is not what it should be, unknown types, shapes that do
// not fit their bytes, overlaps, gaps, bytes that belong to nothing.
SafetensorsContent parse_safetensors(const ByteSource& source);

// The header's order is that of `tensors`; the bytes lie by element size, the largest first, so that each tensor is aligned. The same
// input gives the same bytes.
void write_safetensors(std::ostream& out, const StateDict& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace lpnsr
