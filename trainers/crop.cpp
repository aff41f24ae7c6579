#include "trainers/crop.h"

#include <algorithm>

#include "degradation/planes.h"

namespace lpnsr {

CropParameters draw_crop(int64_t height, int64_t width, const DataOptions& options, RandomStream& stream) {
  CropParameters crop;
  crop.size = options.crop_size;
  crop.top = stream.integer(0, std::max<int64_t>(0, height - crop.size));
  crop.left = stream.integer(0, std::max<int64_t>(0, width - crop.size));
  crop.flip = stream.chance(0.5) && options.flip;
  const int64_t turns = stream.integer(0, 3);
  if (options.rotate) crop.quarter_turns = turns;
  return crop;
}

void crop_into(const Picture& picture, const CropParameters& crop, float* out) {
  const int64_t last = crop.size - 1;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t i = 0; i < crop.size; ++i) {
      for (int64_t j = 0; j < crop.size; ++j) {
        int64_t y = i, x = j;
        for (int64_t turn = 0; turn < crop.quarter_turns; ++turn) {
          const int64_t before = y;
          y = x;
          x = last - before;
        }
        if (crop.flip) x = last - x;
        *out++ = picture.at(c, reflected(crop.top + y, picture.height), reflected(crop.left + x, picture.width));
      }
    }
  }
}

}  // namespace lpnsr
