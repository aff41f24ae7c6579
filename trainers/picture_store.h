#pragma once
// Decoded training pictures, each read when first wanted.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainers/data.h"

namespace lpnsr {

struct Picture {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> levels;  // [3][H][W] of 255; empty where the values are no multiples of 1/255
  std::vector<float> values;    // [3][H][W] then
  std::string name = {};        // its path
  float at(int64_t channel, int64_t y, int64_t x) const {
    const auto i = static_cast<size_t>((channel * height + y) * width + x);
    return values.empty() ? static_cast<float>(levels[i]) / 255.0F : values[i];
  }
};

// Means of 2x2 blocks; an odd last row or column is dropped.
Picture halved(const Picture& picture);

// May be used by several threads at once.
class PictureStore {
 public:
  explicit PictureStore(const DataOptions& options);
  int64_t size() const { return static_cast<int64_t>(paths_.size()); }
  // Null where the picture cannot be read and may be skipped; throws DataError where it may not.
  std::shared_ptr<const Picture> get(int64_t index);

 private:
  std::shared_ptr<const Picture> load(int64_t index) const;
  std::vector<std::filesystem::path> paths_;
  int64_t halve_above_;
  bool cache_, skip_unreadable_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Picture>> kept_;  // with the cache
  std::vector<bool> unreadable_;
};

}  // namespace lpnsr
