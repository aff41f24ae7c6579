#include <algorithm>
#include <cctype>
#include <cmath>

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"

namespace lpnsr {
namespace {

struct Format {
  bool deep, alpha;  // has 16-bit samples, has transparency
  std::vector<int> settings;
};

Format format_of(const std::string& extension, const std::string& origin) {
  if (extension == ".png") return {true, true, {}};
  if (extension == ".tif" || extension == ".tiff") return {true, true, {}};
  if (extension == ".webp") return {false, true, {cv::IMWRITE_WEBP_QUALITY, 101}};  // above 100: lossless
  if (extension == ".bmp") return {false, false, {}};
  if (extension == ".jpg" || extension == ".jpeg") return {false, false, {cv::IMWRITE_JPEG_QUALITY, 95}};
  throw UsageError(fmt::format("{}: pictures are written as .png, .jpg, .webp, .tiff or .bmp, not as '{}'", origin, extension));
}

template <class Sample>
Sample quantise(float value, Rounding rounding) {
  constexpr float top = sizeof(Sample) == 1 ? 255.0F : 65535.0F;
  const float scaled = value * top;
  if (!(scaled > 0.0F)) return 0;  // NaN too
  return static_cast<Sample>(std::min(top, rounding == Rounding::nearest ? std::nearbyint(scaled) : std::floor(scaled)));
}

template <class Sample>
cv::Mat interleave(const std::vector<at::Tensor>& planes, Rounding rounding) {
  const int height = static_cast<int>(planes[0].size(0)), width = static_cast<int>(planes[0].size(1)),
            channels = static_cast<int>(planes.size());
  cv::Mat picture(height, width, CV_MAKETYPE(sizeof(Sample) == 1 ? CV_8U : CV_16U, channels));
  for (int c = 0; c < channels; ++c) {
    const at::Tensor plane = planes[static_cast<size_t>(c)].contiguous();
    const auto* values = plane.data_ptr<float>();
    for (int y = 0; y < height; ++y) {
      auto* row = picture.ptr<Sample>(y);
      for (int x = 0; x < width; ++x) row[x * channels + c] = quantise<Sample>(values[int64_t{y} * width + x], rounding);
    }
  }
  return picture;
}

std::string encode(const Image& image, const std::string& extension, Rounding rounding, const std::string& origin) {
  const Format format = format_of(extension, origin);
  TORCH_CHECK(image.rgb.dim() == 3 && (image.rgb.size(0) == 3 || image.rgb.size(0) == 1) && image.rgb.numel() > 0,
              "write_image: [3,H,W] or [1,H,W] was expected, not ", image.rgb.sizes());
  const at::Tensor rgb = image.rgb.detach().to(at::kCPU, at::kFloat);
  const bool with_alpha = image.alpha.defined() && format.alpha;
  std::vector<at::Tensor> planes;
  if (rgb.size(0) == 1 || image.gray) {
    planes.assign(with_alpha ? 3 : 1, rgb[0]);  // the codecs have no gray with alpha
  } else {
    planes = {rgb[2], rgb[1], rgb[0]};
  }
  if (with_alpha) planes.push_back(image.alpha.detach().to(at::kCPU, at::kFloat)[0]);
  const bool deep = image.bit_depth == 16 && format.deep;
  const cv::Mat picture = deep ? interleave<uint16_t>(planes, rounding) : interleave<uint8_t>(planes, rounding);
  std::vector<unsigned char> bytes;
  bool done = false;
  try {
    done = cv::imencode(extension, picture, bytes, format.settings);
  } catch (const cv::Exception& error) {
    throw Error(fmt::format("{}: cannot be encoded: {}", origin, error.err));
  }
  if (!done) throw Error(fmt::format("{}: cannot be encoded as {}", origin, extension));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void write_image(const std::filesystem::path& path, const Image& image, Rounding rounding) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  write_file_atomically(path, encode(image, extension, rounding, path.string()));
}

void write_rgb(const std::filesystem::path& path, const at::Tensor& rgb, Rounding rounding) {
  write_image(path, {.rgb = rgb, .alpha = {}}, rounding);
}

std::string encode_png(const at::Tensor& rgb) { return encode({.rgb = rgb, .alpha = {}}, ".png", Rounding::nearest, "picture"); }

}  // namespace lpnsr
