#include "eval/resnet.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {

at::Tensor Bottleneck::operator()(const at::Tensor& x) const {
  auto y = expand(filter(reduce(x).relu_()).relu_());
  y += project.weight.defined() ? project(x) : x;
  return y.relu_();
}

ResNet50::ResNet50(WeightReader& reader, const std::string& prefix) {
  stem_ = take_normalised_convolution(reader, prefix + "conv1", prefix + "bn1", square_kernel(3, 64, 7, 2));
  constexpr std::array<int64_t, 4> depths = {3, 4, 6, 3};
  int64_t channels = 64;
  for (size_t stage = 0; stage < depths.size(); ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int64_t b = 0; b < depths[stage]; ++b) {
      const std::string block = fmt::format("{}layer{}.{}.", prefix, stage + 1, b);
      const int64_t stride = b == 0 && stage > 0 ? 2 : 1;
      const auto take = [&](int i, const ConvolutionShape& shape) {
        return take_normalised_convolution(reader, fmt::format("{}conv{}", block, i), fmt::format("{}bn{}", block, i), shape);
      };
      auto& unit = stages_[stage].emplace_back();
      unit.reduce = take(1, square_kernel(channels, width, 1));
      unit.filter = take(2, square_kernel(width, width, 3, stride));
      unit.expand = take(3, square_kernel(width, 4 * width, 1));
      if (b == 0) {
        unit.project = take_normalised_convolution(reader, block + "downsample.0", block + "downsample.1",
                                                   square_kernel(channels, 4 * width, 1, stride));
      }
      channels = 4 * width;
    }
  }
}

std::vector<at::Tensor> ResNet50::operator()(const at::Tensor& image) const {
  std::vector<at::Tensor> maps = {stem_(image).relu_()};
  auto x = at::max_pool2d(maps.front(), {3, 3}, {2, 2}, {1, 1});
  for (const auto& stage : stages_) {
    for (const auto& unit : stage) x = unit(x);
    maps.push_back(x);
  }
  return maps;
}

}  // namespace lpnsr
