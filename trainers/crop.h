#pragma once
// Crops and turns of training pictures.
#include <cstdint>

#include "core/random.h"
#include "trainers/picture_store.h"

namespace lpnsr {

struct CropParameters {
  int64_t size = 256;
  int64_t top = 0, left = 0;
  bool flip = false;          // left and right, before the turns
  int64_t quarter_turns = 0;  // counter-clockwise
};

CropParameters draw_crop(int64_t height, int64_t width, const DataOptions& options, RandomStream& stream);

// Writes [3,size,size]. What lies right of or below the picture is its reflection, whatever its size.
void crop_into(const Picture& picture, const CropParameters& crop, float* out);

}  // namespace lpnsr
