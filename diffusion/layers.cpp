#include "diffusion/layers.h"

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {

GroupNorm group_normalisation(int64_t groups, int64_t channels, double eps, const std::string& what) {
  if (channels <= 0 || channels % groups != 0) {
    throw UsageError(
        fmt::format("{} gives a layer of {} channels: norm_groups is {}, so it must be a multiple of {}", what, channels, groups, groups));
  }
  return GroupNorm(torch::nn::GroupNormOptions(groups, channels).eps(eps));
}

Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride) {
  return Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel).stride(stride).padding(kernel / 2));
}

void set_to_zero(Conv2d& layer) {
  torch::nn::init::zeros_(layer->weight);
  torch::nn::init::zeros_(layer->bias);
}

}  // namespace lpnsr
