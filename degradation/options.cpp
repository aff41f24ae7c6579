#include "degradation/options.h"

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

void check_range(const std::string& key, const std::vector<double>& range) {
  if (range.size() != 2) throw UsageError(fmt::format("{}: two numbers were expected, [least, largest], got {}", key, range.size()));
  if (range[0] > range[1])
    throw UsageError(fmt::format("{}: the first number, {}, is larger than the second, {}", key, range[0], range[1]));
}

void check_weights(const std::string& key, const std::vector<double>& weights, size_t count, const char* meaning) {
  if (weights.size() != count)
    throw UsageError(fmt::format("{}: {} numbers were expected ({}), got {}", key, count, meaning, weights.size()));
  double sum = 0.0;
  for (const double weight : weights) sum += weight;
  if (!(sum > 0.0)) throw UsageError(fmt::format("{}: at least one of the probabilities must be above zero", key));
}

void check_stage(const std::string& stage, const DegradationStageOptions& options) {
  const auto key = [&stage](const char* name) { return fmt::format("degradation.{}.{}", stage, name); };
  if (options.blur_kernel_size % 2 == 0)
    throw UsageError(fmt::format("{}: must be odd, got {}", key("blur_kernel_size"), options.blur_kernel_size));
  check_weights(key("kernel_prob"), options.kernel_prob, 6, "iso, aniso, generalized iso and aniso, plateau iso and aniso");
  check_weights(key("resize_prob"), options.resize_prob, 3, "up, down, keep");
  check_range(key("blur_sigma"), options.blur_sigma);
  check_range(key("betag_range"), options.betag_range);
  check_range(key("betap_range"), options.betap_range);
  check_range(key("resize_range"), options.resize_range);
  check_range(key("noise_range"), options.noise_range);
  check_range(key("poisson_scale_range"), options.poisson_scale_range);
  check_range(key("jpeg_range"), options.jpeg_range);
  if (options.resize_range[0] > 1.0 || options.resize_range[1] < 1.0) {
    throw UsageError(fmt::format("{}: [{}, {}] must hold 1, which ends both directions", key("resize_range"), options.resize_range[0],
                                 options.resize_range[1]));
  }
}

}  // namespace

void DegradationStageOptions::fields(FieldVisitor& v) {
  v.integer("blur_kernel_size", blur_kernel_size, {5, 99}, "odd; the largest kernel is two smaller (realesrgan: as large)");
  v.reals("kernel_prob", kernel_prob, non_negative, "iso, aniso, generalized iso, generalized aniso, plateau iso, plateau aniso");
  v.real("sinc_prob", sinc_prob, probability, "of a sinc kernel instead");
  v.reals("blur_sigma", blur_sigma, {0.05, 100.0}, "standard deviations of the kernels, pixels");
  v.reals("betag_range", betag_range, {0.05, 100.0}, "shape of generalized Gaussians");
  v.reals("betap_range", betap_range, {0.05, 100.0}, "shape of plateau kernels");
  v.reals("resize_prob", resize_prob, non_negative, "up, down, keep");
  v.reals("resize_range", resize_range, {0.01, 16.0}, "smallest factor down, largest factor up");
  v.real("gaussian_noise_prob", gaussian_noise_prob, probability, "of Gaussian instead of Poisson noise");
  v.reals("noise_range", noise_range, {0.0, 255.0}, "sigma of Gaussian noise, of 255");
  v.reals("poisson_scale_range", poisson_scale_range, {0.0, 1000.0}, "scale of Poisson noise");
  v.real("gray_noise_prob", gray_noise_prob, probability, "of noise common to the channels");
  v.reals("jpeg_range", jpeg_range, {1.0, 100.0}, "JPEG quality");
  v.real("blur_prob", blur_prob, probability, "of blurring at all");
}

DegradationOptions::DegradationOptions() {
  second.blur_kernel_size = 15;
  second.blur_sigma = {0.2, 1.5};
  second.resize_prob = {0.3, 0.4, 0.3};
  second.resize_range = {0.3, 1.2};
  second.noise_range = {1.0, 25.0};
  second.poisson_scale_range = {0.05, 2.5};
  second.blur_prob = 0.8;
}

void DegradationOptions::fields(FieldVisitor& v) {
  v.choice("flavour", flavour, {"resshift", "lpnsr", "realesrgan"},
           "whose details: ResShift's, the released LPNSR script's or Real-ESRGAN's");
  v.choice("jpeg", jpeg, {"differentiable", "codec", "none"}, "the references' DiffJPEG, a real encoder, or no compression");
  v.choice(
      "draws", draws, {"sample", "batch"},
      "how often factors, modes, kinds of noise, second order and order of the last steps are drawn: the references do it once a batch");
  v.integer("scale", scale, {1, 16}, "of the super-resolution");
  v.section("first", first, "the first order");
  v.section("second", second, "the second order; its kernel size and jpeg_range are also those of the final sinc and the final JPEG");
  v.real("second_order_prob", second_order_prob, probability, "of a second order");
  v.real("final_sinc_prob", final_sinc_prob, probability, "of the final sinc filter");
  v.boolean("use_sharp", use_sharp, "unsharp masking of the target");

  check_stage("first", first);
  check_stage("second", second);
  if (flavour == "realesrgan" && std::min(first.blur_kernel_size, second.blur_kernel_size) < 7) {
    throw UsageError("degradation.flavour: realesrgan draws kernels of 7 pixels and more, so blur_kernel_size must be at least 7");
  }
}

}  // namespace lpnsr
