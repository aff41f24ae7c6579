#include "eval/psnr_ssim.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/image.h"

namespace lpnsr {
namespace {

constexpr int64_t window_size = 11;
constexpr double window_sigma = 1.5;

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

at::Tensor gaussian_line() {
  const auto offsets = torch::arange(window_size, torch::kFloat64) - (window_size - 1) / 2;
  const auto line = torch::exp(-offsets.square() / (2 * window_sigma * window_sigma));
  return line / line.sum();
}

// Weighted means over the 11x11 windows that lie within [N,1,H,W]. pyiqa rounds its window to float32; only the sum of the weights matters
// then, which enters squared means and mean squares differently.
at::Tensor window_means(const at::Tensor& maps, bool rounded_window) {
  auto line = gaussian_line();
  if (rounded_window) line = line * torch::outer(line, line).to(torch::kFloat32).to(torch::kFloat64).sum().sqrt();
  at::Tensor result = maps;
  for (const int64_t axis : {2, 3}) {
    const int64_t positions = result.size(axis) - window_size + 1;
    auto sum = result.narrow(axis, 0, positions) * line[0].item<double>();
    for (int64_t k = 1; k < window_size; ++k) sum.add_(result.narrow(axis, k, positions), line[k].item<double>());
    result = sum;
  }
  return result;
}

}  // namespace

const std::vector<std::string>& psnr_ssim_protocols() {
  static const std::vector<std::string> names = {"lpnsr", "basicsr", "resshift", "pyiqa", "pyiqa_yiq"};
  return names;
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
  const double error = (a - b).square().mean().item<double>();
  if (is_pyiqa(full)) return 10.0 * std::log10(1.0 / (error / (255.0 * 255.0) + 1e-8));
  return error == 0.0 ? std::numeric_limits<double>::infinity() : 10.0 * std::log10(255.0 * 255.0 / error);
}

double ssim(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options) {
  constexpr double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
  const auto full = checked(options);
  check_pair(image, reference);
  const bool lpnsr = full.protocol == "lpnsr", pyiqa = is_pyiqa(full), rounded = pyiqa || full.protocol == "resshift";
  const int64_t smallest = window_size + (lpnsr ? 1 : 0);
  const auto a = compared_values(cropped(image, full.crop, smallest), full, rounded).unsqueeze(1);
  const auto b = compared_values(cropped(reference, full.crop, smallest), full, rounded).unsqueeze(1);
  const auto means = window_means(torch::cat({a, b, a * a, b * b, a * b}), pyiqa).chunk(5);
  const auto &mean_a = means[0], &mean_b = means[1];
  const auto variance_a = means[2] - mean_a * mean_a, variance_b = means[3] - mean_b * mean_b, covariance = means[4] - mean_a * mean_b;
  auto contrast = (2 * covariance + c2) / (variance_a + variance_b + c2);
  if (pyiqa) contrast = torch::relu(contrast);
  auto map = contrast * (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1);
  // The released program cuts its map with an off-by-one at the end (goldens/metrics/README.md).
  if (lpnsr) map = map.narrow(2, 0, map.size(2) - 1).narrow(3, 0, map.size(3) - 1);
  return map.mean().item<double>();
}

}  // namespace lpnsr
