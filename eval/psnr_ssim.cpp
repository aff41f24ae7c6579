#include "eval/psnr_ssim.h"

#include <numeric>

#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"
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

at::Tensor cropped(const at::Tensor& picture, int64_t crop, int64_t smallest) {
  if (std::min(picture.size(1), picture.size(2)) < 2 * crop + smallest) {
    throw UsageError(fmt::format("a picture of {}x{} pixels is too small: crop {} leaves less than {}x{}", picture.size(2), picture.size(1),
                                 crop, smallest, smallest));
  }
  return picture.narrow(1, crop, picture.size(1) - 2 * crop).narrow(2, crop, picture.size(2) - 2 * crop);
}

at::Tensor weighted_sum(const at::Tensor& rgb, double red, double green, double blue) {
  return red * rgb[0] + green * rgb[1] + blue * rgb[2];
}

// [C,H,W] in 0..255 as float64: what the protocol compares. `rounded_y` is pyiqa's SSIM, which rounds; its PSNR does not.
at::Tensor compared_values(const at::Tensor& picture, const PsnrSsimOptions& options, bool rounded_y) {
  const auto pixels = picture.to(torch::kFloat32);
  if (options.channel == "rgb") return (pixels.to(torch::kFloat64) * 255.0).round();
  at::Tensor luma;
  if (options.protocol == "lpnsr" || options.protocol == "resshift") {
    // ResShift takes the file's integers, the released program its float32 fractions times 255.
    const auto wide = options.protocol == "lpnsr" ? (pixels * 255.0f).to(torch::kFloat64) : (pixels.to(torch::kFloat64) * 255.0).round();
    luma = weighted_sum(wide, 65.481, 128.553, 24.966) / 255.0 + 16.0;
  } else if (options.protocol == "pyiqa_yiq") {
    luma = weighted_sum(pixels, 0.299, 0.587, 0.114) * 255.0f;
  } else {
    luma = luma_bt601(pixels)[0] * 255.0f;
  }
  luma = luma.to(torch::kFloat64).unsqueeze(0);
  return rounded_y ? luma.round() : luma;
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
  const auto a = compared_values(cropped(image, full.crop, 1), full, rounded),
             b = compared_values(cropped(reference, full.crop, 1), full, rounded);
  double error = 0;
  for (int64_t c = 0; c < a.size(0); ++c) error += squared_error(plane_of(a[c]), plane_of(b[c]));
  error /= static_cast<double>(a.numel());
  if (is_pyiqa(full)) return 10.0 * std::log10(1.0 / (error / (255.0 * 255.0) + 1e-8));
  return error == 0.0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(255.0 * 255.0 / error);
}

double ssim(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options) {
  const auto full = checked(options);
  check_pair(image, reference);
  const bool lpnsr = full.protocol == "lpnsr", pyiqa = is_pyiqa(full), rounded = pyiqa || full.protocol == "resshift";
  // The released program cuts its map with an off-by-one at the end (goldens/metrics/README.md).
  const int64_t left_out = lpnsr ? 1 : 0;
  const auto a = compared_values(cropped(image, full.crop, window_size + left_out), full, rounded);
  const auto b = compared_values(cropped(reference, full.crop, window_size + left_out), full, rounded);
  double sum = 0;
  for (int64_t c = 0; c < a.size(0); ++c)
    sum += ssim_means(plane_of(a[c]), plane_of(b[c]), {.clipped = pyiqa, .left_out_at_end = left_out}).ssim;
  return sum / static_cast<double>(a.size(0));
}

}  // namespace lpnsr
