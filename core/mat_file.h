#pragma once
// MATLAB's level-5 files (.mat, versions 5 to 7, compressed or not): numbers, structs and cells.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

struct MatValue {
  enum class Kind { numbers, structure, cell, other } kind = Kind::other;  // other: text, sparse matrices, objects; not read
  std::vector<int64_t> dims;
  at::Tensor numbers;            // float64 in the shape `dims`
  std::vector<MatValue> values;  // of a cell, column by column; of a struct, element by element, each with all its fields in order
  std::vector<std::string> fields;

  // A field of a 1x1 struct; throws Error that names what there is.
  const MatValue& at(const std::string& field) const;
};

// The variables of a file in its order. Throws DataError (damaged, truncated, another format) that names the file.
std::vector<std::pair<std::string, MatValue>> read_mat(const std::filesystem::path& path);

}  // namespace lpnsr
