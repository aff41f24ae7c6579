#include "degradation/explain.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace lpnsr {
namespace {

std::string of_kernel(const KernelParameters& kernel) {
  std::string text = fmt::format("{} kernel of {}x{}", kernel.type, kernel.size, kernel.size);
  if (kernel.type == "sinc") return text + fmt::format(", cut-off {:.3f}", kernel.omega);
  text += fmt::format(", sigma {:.3f}", kernel.sigma_x);
  if (kernel.type.ends_with("aniso")) text += fmt::format(" and {:.3f} turned by {:.3f}", kernel.sigma_y, kernel.theta);
  if (kernel.type.starts_with("generalized") || kernel.type.starts_with("plateau")) text += fmt::format(", beta {:.3f}", kernel.beta);
  return text;
}

class Stages {
 public:
  Stages(const DegradationParameters& parameters, int64_t height, int64_t width)
      : parameters_(parameters), height_(height), width_(width) {}

  void say(const std::string& name, const std::string& what) { list.emplace_back(name, what); }
  void blur(const std::string& name, const KernelParameters& kernel) {
    if (kernel.type != "none") say(name, of_kernel(kernel));
  }
  void resize(const std::string& name, const std::string& mode, int64_t height, int64_t width) {
    height = std::max<int64_t>(1, height), width = std::max<int64_t>(1, width);
    say(name, height == height_ && width == width_ ? fmt::format("{} x {} kept", width_, height_)
                                                   : fmt::format("{}, {} x {} to {} x {}", mode, width_, height_, width, height));
    height_ = height, width_ = width;
  }
  void noise(const std::string& name, const StageParameters& stage) {
    const std::string tone = stage.gray_noise ? "gray" : "colour";
    say(name, stage.noise == "gaussian" ? fmt::format("Gaussian, {}, sigma {:.2f} of 255", tone, stage.noise_level)
                                        : fmt::format("Poisson, {}, scale {:.3f}", tone, stage.noise_level));
  }
  void compress(const std::string& name, double quality) {
    if (parameters_.jpeg == "codec")
      say(name, fmt::format("JPEG by the codec, quality {}", std::clamp<int64_t>(std::llround(quality), 1, 100)));
    if (parameters_.jpeg == "differentiable") say(name, fmt::format("JPEG as DiffJPEG, quality {:.2f}", quality));
  }

  std::vector<std::pair<std::string, std::string>> list;

 private:
  const DegradationParameters& parameters_;
  int64_t height_, width_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> explain(const DegradationParameters& parameters, int64_t height, int64_t width) {
  Stages stages(parameters, height, width);
  const auto scaled = [](int64_t side, double factor) { return static_cast<int64_t>(std::floor(static_cast<double>(side) * factor)); };
  const int64_t low_height = height / parameters.scale, low_width = width / parameters.scale;
  const auto& [first, second] = std::tie(parameters.first, parameters.second);

  if (parameters.sharpen) stages.say("sharpen", "unsharp mask, radius 51");
  stages.blur("first.blur", first.kernel);
  stages.resize("first.resize", first.resize_mode, scaled(height, first.resize_factor), scaled(width, first.resize_factor));
  stages.noise("first.noise", first);
  stages.compress("first.jpeg", first.jpeg_quality);
  if (parameters.second_order) {
    stages.blur("second.blur", second.kernel);
    stages.resize("second.resize", second.resize_mode, scaled(low_height, second.resize_factor), scaled(low_width, second.resize_factor));
    stages.noise("second.noise", second);
  }
  const auto to_size = [&] {
    stages.resize("final.resize", parameters.final_resize_mode, low_height, low_width);
    stages.blur("final.sinc", parameters.final_sinc);
  };
  if (parameters.final_sinc_before_jpeg) to_size();
  stages.compress("final.jpeg", second.jpeg_quality);
  if (!parameters.final_sinc_before_jpeg) to_size();
  stages.say("round", "to 8 bits");
  return stages.list;
}

}  // namespace lpnsr
