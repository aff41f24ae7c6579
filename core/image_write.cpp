#include <algorithm>
#include <cctype>
#include <cmath>
#include <sstream>

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/image_profile.h"
#include "core/png_writer.h"

namespace lpnsr {
namespace {

struct WrittenFormat {
  std::string name, extension;
  bool deep, alpha;      // has 16-bit samples, has transparency
  int64_t largest_side;  // that its header or its library can express
  std::vector<int> settings;
};

WrittenFormat format_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr int64_t kUnlimited = std::numeric_limits<int32_t>::max();
  if (extension == ".png") return {"PNG", extension, true, true, kUnlimited, {}};
  if (extension == ".tif" || extension == ".tiff") return {"TIFF", extension, true, true, kUnlimited, {}};
  // A quality above 100: lossless.
  if (extension == ".webp") return {"WebP", extension, false, true, 16383, {cv::IMWRITE_WEBP_QUALITY, 101}};
  if (extension == ".bmp") return {"BMP", extension, false, false, kUnlimited, {}};
  if (extension == ".jpg" || extension == ".jpeg") return {"JPEG", extension, false, false, 65500, {cv::IMWRITE_JPEG_QUALITY, 95}};
  throw UsageError(fmt::format("{}: pictures are written as .png, .jpg, .webp, .tiff or .bmp, not as '{}'", path.string(), extension));
}

template <class Sample>
Sample quantise(float value, Rounding rounding) {
  constexpr float top = sizeof(Sample) == 1 ? 255.0F : 65535.0F;
  const float scaled = value * top;
  if (!(scaled > 0.0F)) return 0;  // NaN too
  return static_cast<Sample>(std::min(top, rounding == Rounding::nearest ? std::nearbyint(scaled) : std::floor(scaled)));
}

// Row `y` of the planes [H,W] side by side into `row`.
template <class Sample>
void interleave(const std::vector<at::Tensor>& planes, int64_t y, Rounding rounding, Sample* row) {
  const size_t channels = planes.size();
  for (size_t c = 0; c < channels; ++c) {
    const int64_t width = planes[c].size(1);
    const auto* values = planes[c].const_data_ptr<float>() + y * width;
    for (int64_t x = 0; x < width; ++x) row[static_cast<size_t>(x) * channels + c] = quantise<Sample>(values[x], rounding);
  }
}

// The channels of a file in its order, as float32 planes [h,W] on the CPU.
std::vector<at::Tensor> planes_of(const at::Tensor& rgb, const at::Tensor& alpha, bool gray, bool repeat_gray, bool blue_first) {
  const auto plane = [](const at::Tensor& image, int64_t c) { return image.detach()[c].to(at::kCPU, at::kFloat).contiguous(); };
  std::vector<at::Tensor> planes;
  if (gray || rgb.size(0) == 1) {
    planes.assign(repeat_gray ? 3 : 1, plane(rgb, 0));
  } else {
    for (const int64_t c : {0, 1, 2}) planes.push_back(plane(rgb, blue_first ? 2 - c : c));
  }
  if (alpha.defined()) planes.push_back(plane(alpha, 0));
  return planes;
}

// Where the next rows of a file go.
class RowTarget {
 public:
  RowTarget(const ImageLayout& layout, const WrittenFormat& format, Rounding rounding)
      : layout_(layout), deep_(layout.bit_depth == 16 && format.deep), alpha_(layout.alpha && format.alpha), rounding_(rounding) {}
  virtual ~RowTarget() = default;
  RowTarget(const RowTarget&) = delete;
  RowTarget& operator=(const RowTarget&) = delete;

  void take(const at::Tensor& rgb, const at::Tensor& alpha) {
    TORCH_CHECK(
        rgb.dim() == 3 && (rgb.size(0) == 3 || rgb.size(0) == 1) && rgb.size(2) == layout_.width && next_ + rgb.size(1) <= layout_.height,
        "write_image: rows [3,h,", layout_.width, "] or [1,h,", layout_.width, "] were expected, not ", rgb.sizes());
    put(rgb, alpha_ ? alpha : at::Tensor());
    next_ += rgb.size(1);
  }
  bool complete() const { return next_ == layout_.height; }

 protected:
  virtual void put(const at::Tensor& rgb, const at::Tensor& alpha) = 0;
  ImageLayout layout_;
  bool deep_, alpha_;
  Rounding rounding_;
  int64_t next_ = 0;  // row
};

class PngRows final : public RowTarget {
 public:
  PngRows(std::ostream& out, const ImageLayout& layout, const WrittenFormat& format, Rounding rounding)
      : RowTarget(layout, format, rounding),
        channels_((layout.gray ? 1 : 3) + (alpha_ ? 1 : 0)),
        writer_(out, {.width = layout.width,
                      .height = layout.height,
                      .channels = channels_,
                      .bit_depth = deep_ ? 16 : 8,
                      .icc_profile = profile_describes(layout.icc_profile, layout.gray) ? layout.icc_profile : ""}),
        bytes_(static_cast<size_t>(layout.width * channels_ * (deep_ ? 2 : 1))),
        samples_(deep_ ? bytes_.size() / 2 : 0) {}
  void finish() { writer_.finish(); }

 private:
  void put(const at::Tensor& rgb, const at::Tensor& alpha) override {
    const auto planes = planes_of(rgb, alpha, layout_.gray, false, false);
    for (int64_t y = 0; y < rgb.size(1); ++y) {
      if (deep_) {
        interleave<uint16_t>(planes, y, rounding_, samples_.data());
        for (size_t i = 0; i < samples_.size(); ++i) {
          bytes_[2 * i] = static_cast<unsigned char>(samples_[i] >> 8);
          bytes_[2 * i + 1] = static_cast<unsigned char>(samples_[i] & 0xFF);
        }
      } else {
        interleave<unsigned char>(planes, y, rounding_, bytes_.data());
      }
      writer_.row(bytes_.data());
    }
  }

  int64_t channels_;
  PngWriter writer_;
  std::vector<unsigned char> bytes_;
  std::vector<uint16_t> samples_;
};

class OpenCvRows final : public RowTarget {
 public:
  OpenCvRows(const ImageLayout& layout, WrittenFormat format, Rounding rounding)
      : RowTarget(layout, format, rounding), format_(std::move(format)), one_channel_(layout.gray && !alpha_) {
    // These codecs have no gray with alpha.
    const int channels = (one_channel_ ? 1 : 3) + (alpha_ ? 1 : 0);
    picture_.create(static_cast<int>(layout.height), static_cast<int>(layout.width), CV_MAKETYPE(deep_ ? CV_16U : CV_8U, channels));
  }

  std::string encode(const std::string& origin) const {
    std::vector<unsigned char> bytes;
    bool done = false;
    try {
      done = cv::imencode(format_.extension, picture_, bytes, format_.settings);
    } catch (const cv::Exception& error) {
      throw Error(fmt::format("{}: cannot be encoded: {}", origin, error.err));
    }
    if (!done) throw Error(fmt::format("{}: cannot be encoded as {}", origin, format_.name));
    const std::string encoded(bytes.begin(), bytes.end());
    return profile_describes(layout_.icc_profile, one_channel_) ? with_profile(encoded, format_.name, layout_.icc_profile) : encoded;
  }

 private:
  void put(const at::Tensor& rgb, const at::Tensor& alpha) override {
    const auto planes = planes_of(rgb, alpha, layout_.gray, !one_channel_, true);
    for (int64_t y = 0; y < rgb.size(1); ++y) {
      const int row = static_cast<int>(next_ + y);
      if (deep_) {
        interleave<uint16_t>(planes, y, rounding_, picture_.ptr<uint16_t>(row));
      } else {
        interleave<unsigned char>(planes, y, rounding_, picture_.ptr<unsigned char>(row));
      }
    }
  }

  WrittenFormat format_;
  bool one_channel_;
  cv::Mat picture_;
};

void encode_rows(std::ostream& out, const std::filesystem::path& path, const ImageLayout& layout, Rounding rounding,
                 const std::function<void(const TakeRows&)>& produce) {
  const WrittenFormat format = format_of(path);
  const auto fill = [&](RowTarget& target) {
    produce([&target](const at::Tensor& rgb, const at::Tensor& alpha) { target.take(rgb, alpha); });
    TORCH_CHECK(target.complete(), "write_image: too few rows for ", path.string());
  };
  if (format.name == "PNG") {
    PngRows rows(out, layout, format, rounding);
    fill(rows);
    rows.finish();
  } else {
    OpenCvRows rows(layout, format, rounding);
    fill(rows);
    out << rows.encode(path.string());
  }
}

ImageLayout layout_of(const Image& image) {
  TORCH_CHECK(image.rgb.dim() == 3 && image.rgb.numel() > 0, "write_image: [3,H,W] or [1,H,W] was expected, not ", image.rgb.sizes());
  return {image.height(), image.width(), image.bit_depth, image.gray || image.rgb.size(0) == 1, image.alpha.defined(), image.icc_profile};
}

}  // namespace

void check_writable(const std::filesystem::path& path, int64_t height, int64_t width) {
  const WrittenFormat format = format_of(path);
  if (std::max(height, width) > format.largest_side) {
    throw Error(fmt::format("{}: a {} has at most {} pixels a side, this one would be {} x {}; .png and .tiff take it", path.string(),
                            format.name, format.largest_side, width, height));
  }
}

void write_image_rows(const std::filesystem::path& path, const ImageLayout& layout, Rounding rounding,
                      const std::function<void(const TakeRows&)>& produce) {
  check_writable(path, layout.height, layout.width);
  write_file_atomically(path, [&](std::ostream& out) { encode_rows(out, path, layout, rounding, produce); });
}

void write_image(const std::filesystem::path& path, const Image& image, Rounding rounding) {
  write_image_rows(path, layout_of(image), rounding, [&image](const TakeRows& take) { take(image.rgb, image.alpha); });
}

void write_rgb(const std::filesystem::path& path, const at::Tensor& rgb, Rounding rounding) {
  write_image(path, {.rgb = rgb, .alpha = {}}, rounding);
}

std::string encode_png(const at::Tensor& rgb) {
  const Image image{.rgb = rgb, .alpha = {}};
  std::ostringstream bytes;
  encode_rows(bytes, "picture.png", layout_of(image), Rounding::nearest, [&image](const TakeRows& take) { take(image.rgb, image.alpha); });
  return bytes.str();
}

}  // namespace lpnsr
