#include "degradation/parameters.h"

#include <algorithm>
#include <numbers>

namespace lpnsr {

const std::vector<std::string> kernel_types = {"iso",  "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso",
                                               "sinc", "none"};
const std::vector<std::string> resize_modes = {"area", "bilinear", "bicubic"};

namespace {

using std::numbers::pi;

double from(const std::vector<double>& range, RandomStream& stream) { return stream.uniform(range[0], range[1]); }

std::string resize_mode(RandomStream& stream) { return resize_modes[static_cast<size_t>(stream.integer(0, 2))]; }

// Odd, from 3 to two below the padded size; Real-ESRGAN: from 7 to the padded size.
int64_t kernel_size(int64_t padded, const std::string& flavour, RandomStream& stream) {
  const int64_t least = flavour == "realesrgan" ? 7 : 3, largest = flavour == "realesrgan" ? padded : padded - 2;
  return least + 2 * stream.integer(0, (largest - least) / 2);
}

// The references take either side of 1 with equal probability; the released LPNSR script is uniform over the whole range.
double shape(const std::vector<double>& range, const std::string& flavour, RandomStream& stream) {
  if (flavour == "lpnsr") return from(range, stream);
  const double middle = std::clamp(1.0, range[0], range[1]);
  return stream.chance(0.5) ? stream.uniform(range[0], middle) : stream.uniform(middle, range[1]);
}

KernelParameters sinc_kernel(int64_t padded, double lowest_cutoff, int64_t size, RandomStream& stream) {
  KernelParameters kernel;
  kernel.type = "sinc";
  kernel.size = size;
  kernel.padded_size = padded;
  kernel.omega = stream.uniform(lowest_cutoff, pi);
  return kernel;
}

KernelParameters blur_kernel(const DegradationStageOptions& options, const std::string& flavour, RandomStream& stream) {
  const int64_t size = kernel_size(options.blur_kernel_size, flavour, stream);
  if (stream.chance(options.sinc_prob)) return sinc_kernel(options.blur_kernel_size, size < 13 ? pi / 3.0 : pi / 5.0, size, stream);
  KernelParameters kernel;
  kernel.type = kernel_types[stream.choose(options.kernel_prob)];
  kernel.size = size;
  kernel.padded_size = options.blur_kernel_size;
  kernel.sigma_x = kernel.sigma_y = from(options.blur_sigma, stream);
  if (kernel.type.ends_with("aniso")) {
    kernel.sigma_y = from(options.blur_sigma, stream);
    kernel.theta = stream.uniform(-pi, pi);
  }
  if (kernel.type.starts_with("generalized")) kernel.beta = shape(options.betag_range, flavour, stream);
  if (kernel.type.starts_with("plateau")) kernel.beta = shape(options.betap_range, flavour, stream);
  return kernel;
}

double resize_factor(const DegradationStageOptions& options, RandomStream& stream) {
  switch (stream.choose(options.resize_prob)) {
    case 0:
      return stream.uniform(1.0, options.resize_range[1]);
    case 1:
      return stream.uniform(options.resize_range[0], 1.0);
    default:
      return 1.0;
  }
}

StageParameters draw_stage(const DegradationStageOptions& options, const std::string& flavour, RandomStream& stream) {
  StageParameters stage;
  if (stream.chance(options.blur_prob)) stage.kernel = blur_kernel(options, flavour, stream);
  stage.resize_factor = resize_factor(options, stream);
  stage.resize_mode = resize_mode(stream);
  const bool gaussian = stream.chance(options.gaussian_noise_prob);
  stage.noise = gaussian ? "gaussian" : "poisson";
  stage.noise_level = from(gaussian ? options.noise_range : options.poisson_scale_range, stream);
  stage.gray_noise = stream.chance(options.gray_noise_prob);
  stage.noise_seed = stream.bits();
  stage.jpeg_quality = from(options.jpeg_range, stream);
  return stage;
}

}  // namespace

DegradationParameters draw_parameters(const DegradationOptions& options, RandomStream& stream) {
  DegradationParameters parameters;
  parameters.flavour = options.flavour;
  parameters.jpeg = options.jpeg;
  parameters.scale = options.scale;
  parameters.sharpen = options.use_sharp;
  parameters.first = draw_stage(options.first, options.flavour, stream);
  parameters.second_order = stream.chance(options.second_order_prob);
  parameters.second = draw_stage(options.second, options.flavour, stream);
  if (stream.chance(options.final_sinc_prob)) {
    const int64_t padded = options.second.blur_kernel_size;
    parameters.final_sinc = sinc_kernel(padded, pi / 3.0, kernel_size(padded, options.flavour, stream), stream);
  }
  parameters.final_resize_mode = resize_mode(stream);
  parameters.final_sinc_before_jpeg = stream.chance(0.5);
  return parameters;
}

}  // namespace lpnsr
