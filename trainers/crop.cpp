#include "trainers/crop.h"

#include <algorithm>

#include <opencv2/imgproc.hpp>

#include "degradation/planes.h"

namespace lpnsr {
namespace {

// One plane of the square that the crop covers, turned.
void cut_plane(const Picture& picture, const CropParameters& crop, int64_t channel, float* out) {
  const int64_t last = crop.side - 1;
  for (int64_t i = 0; i < crop.side; ++i) {
    for (int64_t j = 0; j < crop.side; ++j) {
      int64_t y = i, x = j;
      for (int64_t turn = 0; turn < crop.quarter_turns; ++turn) {
        const int64_t before = y;
        y = x;
        x = last - before;
      }
      if (crop.flip) x = last - x;
      *out++ = picture.at(channel, reflected(crop.top + y, picture.height), reflected(crop.left + x, picture.width));
    }
  }
}

}  // namespace

CropParameters draw_crop(int64_t height, int64_t width, const DataOptions& options, RandomStream& stream) {
  CropParameters crop;
  crop.size = std::max(options.crop_size, options.degraded_size);
  crop.side = options.crop == "square" ? std::max(crop.size, std::min(height, width)) : crop.size;
  const auto begin = [&](int64_t length) {
    const int64_t missing = std::max<int64_t>(0, crop.side - length), before = options.crop == "centred" ? missing / 2 : 0;
    return stream.integer(0, std::max<int64_t>(0, length - crop.side)) - before;
  };
  crop.top = begin(height);
  crop.left = begin(width);
  crop.flip = stream.chance(0.5) && options.flip;
  const int64_t turns = stream.integer(0, 3);
  if (options.rotate) crop.quarter_turns = turns;
  return crop;
}

void crop_into(const Picture& picture, const CropParameters& crop, float* out) {
  const auto size = static_cast<int>(crop.size), side = static_cast<int>(crop.side);
  Buffer<float> square(static_cast<size_t>(crop.side == crop.size ? 0 : crop.side * crop.side));
  for (int64_t c = 0; c < 3; ++c, out += crop.size * crop.size) {
    cut_plane(picture, crop, c, square.empty() ? out : square.data());
    if (square.empty()) continue;
    cv::Mat shrunk(size, size, CV_32F, out);
    cv::resize(cv::Mat(side, side, CV_32F, square.data()), shrunk, shrunk.size(), 0, 0, cv::INTER_AREA);
  }
}

}  // namespace lpnsr
