#include "eval/psnr_ssim.h"

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
  if (std::min(picture.size(1), picture.size(2)) >= 2 * crop + smallest) return;
  throw UsageError(fmt::format("a picture of {}x{} pixels is too small: crop {} leaves less than {}x{}", picture.size(2), picture.size(1),
                               crop, smallest, smallest));
}

// A picture's pixels after the crop, through `value(red, green, blue)`.
template <class Value>
Plane mapped(const at::Tensor& picture, int64_t crop, const Value& value) {
  const float* red = picture.data_ptr<float>();
  const int64_t width = picture.size(2), area = picture.size(1) * width;
  Plane plane(picture.size(1) - 2 * crop, width - 2 * crop);
  for_rows(plane.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const float* from = red + (y + crop) * width + crop;
      double* to = plane.row(y);
      for (int64_t x = 0; x < plane.width; ++x) to[x] = value(from[x], from[area + x], from[2 * area + x]);
    }
  });
  return plane;
}

double whole(float value) { return std::nearbyint(static_cast<double>(value) * 255.0); }

// What the protocol compares, one plane or three, in 0..255. `rounded_y`: ResShift's, and pyiqa's SSIM but not its PSNR.
std::vector<Plane> compared_planes(const at::Tensor& image, const PsnrSsimOptions& options, bool rounded_y) {
  const auto picture = image.to(at::kCPU, at::kFloat).contiguous();
  const auto map = [&](const auto& value) { return mapped(picture, options.crop, value); };
  if (options.channel == "rgb") {
    return {map([](float r, float, float) { return whole(r); }), map([](float, float g, float) { return whole(g); }),
            map([](float, float, float b) { return whole(b); })};
  }
  const auto studio = [](double r, double g, double b) { return (65.481 * r + 128.553 * g + 24.966 * b) / 255.0 + 16.0; };
  const auto finished = [rounded_y](double y) { return rounded_y ? std::nearbyint(y) : y; };
  if (options.protocol == "lpnsr") {
    // The released program takes the file's float32 fractions times 255, ResShift its integers.
    return {map([&](float r, float g, float b) { return finished(studio(r * 255.0F, g * 255.0F, b * 255.0F)); })};
  }
  if (options.protocol == "resshift")
    return {map([&](float r, float g, float b) { return finished(studio(whole(r), whole(g), whole(b))); })};
  if (options.protocol == "pyiqa_yiq")
    return {map([&](float r, float g, float b) { return finished((0.299F * r + 0.587F * g + 0.114F * b) * 255.0F); })};
  return {map([&](float r, float g, float b) { return finished((65.481F * r + 128.553F * g + 24.966F * b + 16.0F) / 255.0F * 255.0F); })};
}

double squared_error(const Plane& a, const Plane& b) {
  std::vector<double> sums(static_cast<size_t>(a.height));
  for_rows(a.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      double sum = 0;
      for (int64_t x = 0; x < a.width; ++x) sum += (a.row(y)[x] - b.row(y)[x]) * (a.row(y)[x] - b.row(y)[x]);
      sums[static_cast<size_t>(y)] = sum;
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

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
  const bool rounded = full.protocol == "resshift";
  check_size(image, full.crop, 1);
  const auto a = compared_planes(image, full, rounded), b = compared_planes(reference, full, rounded);
  double error = 0;
  for (size_t c = 0; c < a.size(); ++c) error += squared_error(a[c], b[c]) / static_cast<double>(a[c].values.size());
  error /= static_cast<double>(a.size());
  if (is_pyiqa(full)) return 10.0 * std::log10(1.0 / (error / (255.0 * 255.0) + 1e-8));
  return error == 0.0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(255.0 * 255.0 / error);
}

double ssim(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options) {
  const auto full = checked(options);
  check_pair(image, reference);
  const bool lpnsr = full.protocol == "lpnsr", pyiqa = is_pyiqa(full), rounded = pyiqa || full.protocol == "resshift";
  // The released program cuts its map with an off-by-one at the end (goldens/metrics/README.md).
  const int64_t left_out = lpnsr ? 1 : 0;
  check_size(image, full.crop, window_size + left_out);
  const auto a = compared_planes(image, full, rounded), b = compared_planes(reference, full, rounded);
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) sum += ssim_means(a[c], b[c], {.clipped = pyiqa, .left_out_at_end = left_out}).ssim;
  return sum / static_cast<double>(a.size());
}

}  // namespace lpnsr
