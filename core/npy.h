#pragma once
// NumPy's archives of arrays (.npz).
#include <filesystem>

#include "core/state_dict.h"

namespace lpnsr {

// Arrays of float32 and float64, as float64 in row-major order; others are left out. Throws DataError that names the file.
StateDict read_npz(const std::filesystem::path& path);

}  // namespace lpnsr
