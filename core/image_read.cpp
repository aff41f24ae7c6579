#include <array>

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/image_format.h"

namespace lpnsr {
namespace {

cv::Mat upright(const cv::Mat& decoded, int orientation) {
  cv::Mat turned = decoded;
  if (orientation >= 5) cv::transpose(decoded, turned);
  // Which axes are then mirrored, for EXIF's 1..8: cv::flip's code, with 2 for none.
  static constexpr std::array<int, 8> kMirror = {2, 1, -1, 0, 2, 1, -1, 0};
  const int mirror = kMirror[static_cast<size_t>(orientation - 1)];
  cv::Mat result = turned;
  if (mirror != 2) cv::flip(turned, result, mirror);
  return result;
}

cv::Mat decode(const std::string& bytes, const ImageFormat& format, const std::string& origin) {
  static const auto quiet = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  static_cast<void>(quiet);
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  cv::Mat decoded;
  try {
    decoded = cv::imdecode(encoded, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& error) {
    throw DataError(fmt::format("{}: is damaged: {}", origin, error.err));
  }
  if (decoded.empty()) throw DataError(fmt::format("{}: is damaged: its {} data cannot be decoded", origin, format.name));
  if (decoded.depth() != CV_8U && decoded.depth() != CV_16U) {
    throw DataError(fmt::format("{}: has samples of another kind than 8 or 16 bits", origin));
  }
  return upright(decoded, format.orientation);
}

// Plain loops: LibTorch's would start a team of threads in each of a loader's workers.
template <class Sample>
void fill_planes(const cv::Mat& decoded, Image& image) {
  const int channels = decoded.channels();
  const float scale = sizeof(Sample) == 1 ? 255.0F : 65535.0F;
  const int64_t plane = int64_t{decoded.rows} * decoded.cols;
  auto* rgb = image.rgb.data_ptr<float>();
  auto* alpha = image.alpha.defined() ? image.alpha.data_ptr<float>() : nullptr;
  const bool colour = channels >= 3;
  int64_t i = 0;
  for (int y = 0; y < decoded.rows; ++y) {
    const auto* sample = decoded.ptr<Sample>(y);
    for (int x = 0; x < decoded.cols; ++x, ++i, sample += channels) {
      rgb[i] = static_cast<float>(sample[colour ? 2 : 0]) / scale;
      rgb[plane + i] = static_cast<float>(sample[colour ? 1 : 0]) / scale;
      rgb[2 * plane + i] = static_cast<float>(sample[0]) / scale;
      if (alpha != nullptr) alpha[i] = static_cast<float>(sample[channels - 1]) / scale;
    }
  }
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
  const std::string origin = path.string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) throw DataError(fmt::format("{}: does not exist", origin));
  if (std::filesystem::is_directory(path, ignored)) throw DataError(fmt::format("{}: is a folder, not an image", origin));
  const std::string bytes = read_file(path);
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw DataError(fmt::format("{}: is too large for an image ({} bytes)", origin, bytes.size()));
  }
  const ImageFormat format = examine_image(bytes, origin);
  const cv::Mat decoded = decode(bytes, format, origin);

  Image image;
  image.rgb = at::empty({3, decoded.rows, decoded.cols}, at::kFloat);
  if (decoded.channels() == 2 || decoded.channels() == 4) image.alpha = at::empty({1, decoded.rows, decoded.cols}, at::kFloat);
  image.bit_depth = decoded.depth() == CV_16U ? 16 : 8;
  image.gray = decoded.channels() <= 2 || format.gray;
  image.icc_profile = format.icc_profile;
  if (image.bit_depth == 16) {
    fill_planes<uint16_t>(decoded, image);
  } else {
    fill_planes<uint8_t>(decoded, image);
  }
  return image;
}

}  // namespace lpnsr
