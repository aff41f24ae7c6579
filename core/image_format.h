#pragma once
// What the bytes of a picture file say before anything is decoded: OpenCV returns half a picture for half a file, so this is asked first.
#include <cstdint>
#include <string>
#include <string_view>

namespace lpnsr {

struct ImageFormat {
  std::string name;               // "PNG", "JPEG", "WebP", "TIFF", "BMP", "PNM"
  int64_t width = 0, height = 0;  // 0 where the header is left to the decoder
  bool gray = false;              // said by the header, where the decoder would hide it (PNG's gray with alpha)
  int orientation = 1;            // EXIF, 1..8
  std::string icc_profile{};      // the colour profile's bytes as they are in the file; empty where it has none
};

// Throws DataError that begins with `origin`: empty, not an image, truncated, damaged, without pixels, absurdly large.
ImageFormat examine_image(std::string_view bytes, const std::string& origin);

}  // namespace lpnsr
