#include "eval/psnr_ssim.h"

#include <array>
#include <numeric>

#include <fmt/format.h>

#include "core/error.h"
#include "eval/ssim_map.h"

namespace lpnsr {
namespace {

constexpr int64_t window_size = 11;

bool is_pyiqa(const PsnrSsimOptions& options) { return options.protocol.starts_with("pyiqa"); }

void check_pair(const at::Tensor& image, const at::Tensor& reference) {
  for (const auto& picture : {image, reference}) {
    if (picture.dim() != 3 || picture.size(0) != 3) throw UsageError("PSNR and SSIM take pictures [3,H,W]");
  }
  if (image.sizes() != reference.sizes()) {
    throw UsageError(fmt::format("the picture is {}x{} pixels and its reference {}x{}; full-reference scores need equal sizes",
                                 image.size(2), image.size(1), reference.size(2), reference.size(1)));
  }
}

void check_size(const at::Tensor& picture, int64_t crop, int64_t smallest) {
  const int64_t side = std::min(picture.size(1), picture.size(2));
  if (smallest <= side && crop <= (side - smallest) / 2) return;
  throw UsageError(fmt::format("a picture of {}x{} pixels is too small: crop {} leaves less than {}x{}", picture.size(2), picture.size(1),
                               crop, smallest, smallest));
}

// Row y of a picture after the crop.
struct Row {
  const float *red, *green, *blue;
  Row(const at::Tensor& picture, int64_t crop, int64_t y) {
    const int64_t width = picture.size(2), area = picture.size(1) * width;
    red = picture.const_data_ptr<float>() + (y + crop) * width + crop;
    green = red + area;
    blue = green + area;
  }
};

// A picture's pixels after the crop, through `value(red, green, blue)`.
template <class Value>
Plane mapped(const at::Tensor& picture, int64_t crop, const Value& value) {
  Plane plane(picture.size(1) - 2 * crop, picture.size(2) - 2 * crop);
  for_rows(plane.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const Row from(picture, crop, y);
      double* to = plane.row(y);
      for (int64_t x = 0; x < plane.width; ++x) to[x] = value(from.red[x], from.green[x], from.blue[x]);
    }
  });
  return plane;
}

// Mean squared difference of what `value` makes of two pictures.
template <class Value>
double squared_error(const at::Tensor& image, const at::Tensor& reference, int64_t crop, const Value& value) {
  const int64_t height = image.size(1) - 2 * crop, width = image.size(2) - 2 * crop;
  std::vector<double> sums(static_cast<size_t>(height));
  for_rows(height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const Row a(image, crop, y), b(reference, crop, y);
      const auto squared = [&](int64_t x) {
        const double difference = value(a.red[x], a.green[x], a.blue[x]) - value(b.red[x], b.green[x], b.blue[x]);
        return difference * difference;
      };
      std::array<double, 4> lanes{};  // one sum would wait for each addition
      int64_t x = 0;
      for (; x + 4 <= width; x += 4) {
        for (int64_t lane = 0; lane < 4; ++lane) lanes[static_cast<size_t>(lane)] += squared(x + lane);
      }
      for (; x < width; ++x) lanes[0] += squared(x);
      sums[static_cast<size_t>(y)] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(height * width);
}

// Half to even, as nearbyint, but in a form that compilers vectorise: beyond 2^52 doubles have no fraction.
double rounded(double value) {
  constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
  return (value + shift) - shift;
}

double whole(float value) { return rounded(static_cast<double>(value) * 255.0); }

// Calls `visit(value)` for each channel that the protocol compares, one or three: `value(red, green, blue)` is in 0..255. `rounded_y`:
// ResShift's, and pyiqa's SSIM but not its PSNR. Returns how many there are.
template <class Visit>
int64_t visit_channels(const PsnrSsimOptions& options, bool rounded_y, const Visit& visit) {
  if (options.channel == "rgb") {
    visit([](float r, float, float) { return whole(r); });
    visit([](float, float g, float) { return whole(g); });
    visit([](float, float, float b) { return whole(b); });
    return 3;
  }
  const auto studio = [](double r, double g, double b) { return (65.481 * r + 128.553 * g + 24.966 * b) / 255.0 + 16.0; };
  const auto finished = [rounded_y](double y) { return rounded_y ? rounded(y) : y; };
  if (options.protocol == "lpnsr") {
    // The released program takes the file's float32 fractions times 255, ResShift its integers.
    visit([&](float r, float g, float b) { return finished(studio(r * 255.0F, g * 255.0F, b * 255.0F)); });
  } else if (options.protocol == "resshift") {
    visit([&](float r, float g, float b) { return finished(studio(whole(r), whole(g), whole(b))); });
  } else if (options.protocol == "pyiqa_yiq") {
    visit([&](float r, float g, float b) { return finished((0.299F * r + 0.587F * g + 0.114F * b) * 255.0F); });
  } else {
    visit([&](float r, float g, float b) { return finished((65.481F * r + 128.553F * g + 24.966F * b + 16.0F) / 255.0F * 255.0F); });
  }
  return 1;
}

at::Tensor as_read(const at::Tensor& picture) { return picture.to(at::kCPU, at::kFloat).contiguous(); }

}  // namespace

const std::vector<std::string>& psnr_ssim_protocols() {
  static const std::vector<std::string> names = {"lpnsr", "basicsr", "resshift", "pyiqa", "pyiqa_yiq"};
  return names;
}

void PsnrSsimOptions::fields(FieldVisitor& v) {
  v.choice("protocol", protocol, psnr_ssim_protocols(), "the published implementation to follow");
  v.choice("channel", channel, {"y", "rgb"}, "luma or all three");
  v.integer("crop", crop, {-1.0}, "pixels taken off each side first; -1: as the protocol does");
}

PsnrSsimOptions checked(PsnrSsimOptions options) {
  const auto& known = psnr_ssim_protocols();
  if (std::find(known.begin(), known.end(), options.protocol) == known.end()) {
    throw UsageError("unknown protocol '" + options.protocol + "' of PSNR and SSIM (lpnsr, basicsr, resshift, pyiqa, pyiqa_yiq)" +
                     did_you_mean(options.protocol, known));
  }
  if (options.channel != "y" && options.channel != "rgb")
    throw UsageError("channel '" + options.channel + "': PSNR and SSIM know y and rgb");
  if (options.crop < -1) throw UsageError(fmt::format("crop {}: a number of pixels is needed", options.crop));
  if (options.crop == -1) options.crop = is_pyiqa(options) ? 0 : 4;
  return options;
}

std::string describe(const PsnrSsimOptions& options) {
  const auto full = checked(options);
  return fmt::format("{}, {}, crop {}", full.protocol, full.channel == "y" ? "Y" : "RGB", full.crop);
}

double psnr(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options) {
  const auto full = checked(options);
  check_pair(image, reference);
  check_size(image, full.crop, 1);
  const auto a = as_read(image), b = as_read(reference);
  double error = 0;
  const int64_t channels =
      visit_channels(full, full.protocol == "resshift", [&](const auto& value) { error += squared_error(a, b, full.crop, value); });
  error /= static_cast<double>(channels);
  if (is_pyiqa(full)) return 10.0 * std::log10(1.0 / (error / (255.0 * 255.0) + 1e-8));
  return error == 0.0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(255.0 * 255.0 / error);
}

double ssim(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options) {
  const auto full = checked(options);
  check_pair(image, reference);
  const bool lpnsr = full.protocol == "lpnsr", pyiqa = is_pyiqa(full);
  // The released program cuts its map with an off-by-one at the end (goldens/metrics/README.md).
  const int64_t left_out = lpnsr ? 1 : 0;
  check_size(image, full.crop, window_size + left_out);
  const auto a = as_read(image), b = as_read(reference);
  double sum = 0;
  const int64_t channels = visit_channels(full, pyiqa || full.protocol == "resshift", [&](const auto& value) {
    sum += ssim_means(mapped(a, full.crop, value), mapped(b, full.crop, value), {.clipped = pyiqa, .left_out_at_end = left_out}).ssim;
  });
  return sum / static_cast<double>(channels);
}

}  // namespace lpnsr
