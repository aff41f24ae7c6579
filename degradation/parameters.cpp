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

// Where each draw comes from: the references draw what decides sizes and kinds of operation once a batch.
struct Streams {
  RandomStream& shared;
  RandomStream& own;
};

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

StageParameters draw_stage(const DegradationStageOptions& options, const std::string& flavour, Streams from_streams) {
  auto& [shared, own] = from_streams;
  StageParameters stage;
  if (shared.chance(options.blur_prob)) stage.kernel = blur_kernel(options, flavour, own);
  stage.resize_factor = resize_factor(options, shared);
  stage.resize_mode = resize_mode(shared);
  const bool gaussian = shared.chance(options.gaussian_noise_prob);
  stage.noise = gaussian ? "gaussian" : "poisson";
  stage.noise_level = from(gaussian ? options.noise_range : options.poisson_scale_range, own);
  stage.gray_noise = own.chance(options.gray_noise_prob);
  stage.noise_seed = own.bits();
  stage.jpeg_quality = from(options.jpeg_range, own);
  return stage;
}

DegradationParameters draw(const DegradationOptions& options, Streams streams) {
  auto& [shared, own] = streams;
  DegradationParameters parameters;
  parameters.flavour = options.flavour;
  parameters.jpeg = options.jpeg;
  parameters.scale = options.scale;
  parameters.sharpen = options.use_sharp;
  parameters.first = draw_stage(options.first, options.flavour, streams);
  parameters.second_order = shared.chance(options.second_order_prob);
  parameters.second = draw_stage(options.second, options.flavour, streams);
  if (own.chance(options.final_sinc_prob)) {
    const int64_t padded = options.second.blur_kernel_size;
    parameters.final_sinc = sinc_kernel(padded, pi / 3.0, kernel_size(padded, options.flavour, own), own);
  }
  parameters.final_resize_mode = resize_mode(shared);
  parameters.final_sinc_before_jpeg = shared.chance(0.5);
  return parameters;
}

}  // namespace

DegradationParameters draw_parameters(const DegradationOptions& options, RandomStream& stream) { return draw(options, {stream, stream}); }

DegradationParameters draw_parameters_in_batch(const DegradationOptions& options, RandomStream shared, RandomStream& own) {
  return draw(options, {shared, own});
}

std::vector<DegradationParameters> draw_batch(const DegradationOptions& options, int64_t size, RandomStream& stream) {
  const RandomStream shared(stream.bits());
  std::vector<DegradationParameters> batch;
  for (int64_t i = 0; i < size; ++i) batch.push_back(draw_parameters_in_batch(options, shared, stream));
  return batch;
}

}  // namespace lpnsr
