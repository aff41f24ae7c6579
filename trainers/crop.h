#pragma once
// Crops and turns of training pictures.
#include <cstdint>

#include "core/random.h"
#include "trainers/picture_store.h"

namespace lpnsr {

struct CropParameters {
  int64_t size = 256;         // of the result
  int64_t side = 256;         // of the square that is cut out; larger than `size`: shrunk by area averaging
  int64_t top = 0, left = 0;  // negative where the picture is mirrored before its first row or column
  bool flip = false;          // left and right, before the turns
  int64_t quarter_turns = 0;  // counter-clockwise
};

// Of the three ways that are in use (data.crop):
//   random   a place of the picture at full size; a small one is mirrored at its right and bottom (Real-ESRGAN)
//   centred  the same, but mirrored on all sides (the released LPNSR script)
//   square   a square of the short side at a random place, shrunk to the size (ResShift's rescale_gt)
// `size` is that of the result: data.degraded_size where set, else data.crop_size.
CropParameters draw_crop(int64_t height, int64_t width, const DataOptions& options, RandomStream& stream);

// Writes [3,size,size]. What lies outside the picture is its reflection, whatever the distance.
void crop_into(const Picture& picture, const CropParameters& crop, float* out);

}  // namespace lpnsr
