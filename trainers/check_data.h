#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "trainers/data.h"

namespace lpnsr {

struct DataCheck {
  int64_t pictures = 0;
  std::vector<std::pair<std::filesystem::path, std::string>> unreadable;  // and why
  std::vector<std::filesystem::path> small;                               // mirrored to fill the crop
  int64_t least_side = 0, largest_side = 0;                               // of those that can be read
};

// Decodes every training picture, `threads` at a time; `progress` is called after each.
DataCheck check_data(const DataOptions& options, int64_t threads, const std::function<void(int64_t total)>& progress);

}  // namespace lpnsr
