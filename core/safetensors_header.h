#pragma once
// The JSON header of a safetensors file.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/byte_source.h"

namespace lpnsr {

struct SafetensorsEntry {
  std::string key;
  c10::ScalarType type = c10::ScalarType::Undefined;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // within the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

// Syntax and types only; the caller compares shapes with bytes. Throws DataError in the name of `source`.
SafetensorsHeader parse_safetensors_header(const ByteSource& source, const std::string& json);

// Empty for types that the format does not have.
std::string safetensors_type_name(c10::ScalarType type);

}  // namespace lpnsr
