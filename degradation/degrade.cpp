#include "degradation/degrade.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "degradation/blur.h"
#include "degradation/jpeg.h"
#include "degradation/kernels.h"
#include "degradation/noise.h"
#include "degradation/planes.h"
#include "degradation/resample.h"

namespace lpnsr {
namespace {

// One picture on its way through the chain.
class Chain {
 public:
  Chain(Planes picture, const DegradationParameters& parameters, const StageObserver& observe)
      : picture_(std::move(picture)), parameters_(parameters), observe_(observe) {}

  void sharpened() { become("sharpen", sharpen(picture_)); }

  void blurred(const std::string& name, const KernelParameters& kernel) {
    if (kernel.type == "none") return;
    const Border border = parameters_.flavour == "lpnsr" ? Border::zero : Border::reflect;
    become(name, filter(picture_, make_kernel(kernel, parameters_.flavour), border));
  }

  void resized_by(const std::string& name, double factor, const std::string& mode) { become(name, resize_by(picture_, factor, mode)); }
  void resized_to(const std::string& name, int64_t height, int64_t width, const std::string& mode) {
    become(name, resize_to(picture_, std::max<int64_t>(1, height), std::max<int64_t>(1, width), mode));
  }

  void with_noise(const std::string& name, const StageParameters& stage) {
    const bool gaussian = stage.noise == "gaussian";
    if (!gaussian && stage.noise_level <= 0.0) {
      clamp01(picture_);
    } else if (!gaussian && parameters_.flavour == "lpnsr") {
      RandomStream stream(stage.noise_seed);
      become_counts(picture_, stage.noise_level, draw_counts(released_rates(picture_, stage.noise_level, stage.gray_noise), stream));
    } else {
      RandomField field(stage.noise_seed);
      if (gaussian) {
        add_gaussian_noise(picture_, stage.noise_level, draw_normals(stage.gray_noise ? 1 : 3, picture_.height, picture_.width, field));
      } else {
        const Photons photons = photons_of(picture_, stage.gray_noise);
        add_poisson_noise(picture_, stage.noise_level, photons, draw_counts(photons, field));
      }
    }
    report(name);
  }

  void compressed(const std::string& name, double quality) {
    clamp01(picture_);
    if (parameters_.jpeg == "none") return;
    become(name, parameters_.jpeg == "codec" ? compress_codec(picture_, quality) : compress_differentiable(picture_, quality));
  }

  at::Tensor rounded() {
    round_to_8_bits(picture_);
    report("round");
    return tensor_of(picture_);
  }

 private:
  void become(const std::string& name, Planes picture) {
    picture_ = std::move(picture);
    report(name);
  }
  void report(const std::string& name) const {
    if (observe_) observe_(name, picture_);
  }

  Planes picture_;
  const DegradationParameters& parameters_;
  const StageObserver& observe_;
};

}  // namespace

at::Tensor degrade(const at::Tensor& hr, const DegradationParameters& parameters, const StageObserver& observe) {
  if (hr.dim() != 3 || hr.size(0) != 3 || hr.numel() == 0 || hr.size(1) % parameters.scale != 0 || hr.size(2) % parameters.scale != 0) {
    std::string shape;
    for (const int64_t side : hr.sizes()) shape += (shape.empty() ? "" : " x ") + std::to_string(side);
    throw Error(fmt::format("degradation: 3 channels and sides that are multiples of {} were expected, got {}", parameters.scale, shape));
  }
  const int64_t height = hr.size(1) / parameters.scale, width = hr.size(2) / parameters.scale;
  Chain chain(planes_of(hr), parameters, observe);
  if (parameters.sharpen) chain.sharpened();

  const StageParameters& first = parameters.first;
  chain.blurred("first.blur", first.kernel);
  chain.resized_by("first.resize", first.resize_factor, first.resize_mode);
  chain.with_noise("first.noise", first);
  chain.compressed("first.jpeg", first.jpeg_quality);

  const StageParameters& second = parameters.second;
  if (parameters.second_order) {
    const auto scaled = [&second](int64_t side) { return static_cast<int64_t>(static_cast<double>(side) * second.resize_factor); };
    chain.blurred("second.blur", second.kernel);
    chain.resized_to("second.resize", scaled(height), scaled(width), second.resize_mode);
    chain.with_noise("second.noise", second);
  }

  const auto to_size = [&] {
    chain.resized_to("final.resize", height, width, parameters.final_resize_mode);
    chain.blurred("final.sinc", parameters.final_sinc);
  };
  if (parameters.final_sinc_before_jpeg) to_size();
  chain.compressed("final.jpeg", second.jpeg_quality);
  if (!parameters.final_sinc_before_jpeg) to_size();
  return chain.rounded();
}

}  // namespace lpnsr
