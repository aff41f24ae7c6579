#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// A decoded picture. The file's content decides its format, never its name; EXIF orientation is applied.
struct Image {
  at::Tensor rgb;         // float32 [3,H,W], values in [0,1]; a gray picture is repeated
  at::Tensor alpha;       // float32 [1,H,W] in [0,1], undefined where the file has none
  int64_t bit_depth = 8;  // 8 or 16
  bool gray = false;
  std::string icc_profile{};  // colour profile as the file has it, empty where it has none
  int64_t height() const { return rgb.size(1); }
  int64_t width() const { return rgb.size(2); }
};

// Throws DataError naming the path and what is wrong (missing, empty, not an image, truncated).
Image read_image(const std::filesystem::path& path);

enum class Rounding { nearest, truncate };  // truncate: as the published inference script writes its results (goldens/diffusion, 19)

// PNG (or the format of the extension), atomically. Values are clamped to [0,1]; bit depth, gray, alpha and colour profile as `image` says,
// as far as the format has them.
void write_image(const std::filesystem::path& path, const Image& image, Rounding rounding = Rounding::nearest);
// [3,H,W] or [1,H,W] in [0,1] as an 8-bit file.
void write_rgb(const std::filesystem::path& path, const at::Tensor& rgb, Rounding rounding = Rounding::nearest);

// What is known of a picture before its first row.
struct ImageLayout {
  int64_t height = 0, width = 0;
  int64_t bit_depth = 8;  // 8 or 16
  bool gray = false, alpha = false;
  std::string icc_profile{};
};
// The next rows of a picture: rgb [3,h,W] or [1,h,W] and, where the layout has it, alpha [1,h,W].
using TakeRows = std::function<void(const at::Tensor& rgb, const at::Tensor& alpha)>;
// As write_image for rows that `produce` hands to its argument from top to bottom. A PNG never lies in memory as a whole; other formats do,
// as bytes.
void write_image_rows(const std::filesystem::path& path, const ImageLayout& layout, Rounding rounding,
                      const std::function<void(const TakeRows&)>& produce);
// Throws UsageError where pictures are not written in the format of the extension, Error where they cannot be so large in it.
void check_writable(const std::filesystem::path& path, int64_t height, int64_t width);

// PNG bytes of [3,H,W] or [1,H,W] in [0,1], for reports and event files.
std::string encode_png(const at::Tensor& rgb);

// Images [3,H,W] of one size side by side, `columns` a row, with a border of `gap` white pixels between them: [3,H',W'].
at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns, int64_t gap = 2);

// uint8 of a float picture: round(255 v) or trunc(255 v), clamped.
at::Tensor to_uint8(const at::Tensor& image, Rounding rounding = Rounding::nearest);

// ITU-R BT.601 luma in the studio range, as MATLAB's rgb2ycbcr: Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255, input [..,3,H,W] in
// [0,1], output [..,1,H,W] in [0,1].
at::Tensor luma_bt601(const at::Tensor& rgb);

}  // namespace lpnsr
