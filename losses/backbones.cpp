#include "losses/backbones.h"

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

using Kind = BackboneLayer::Kind;

BackboneLayer convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  return {Kind::convolution, in, out, kernel, stride, padding};
}
BackboneLayer relu() { return {}; }
BackboneLayer max_pool(int64_t kernel) { return {Kind::max_pool, 0, 0, kernel, 2, 0}; }

BackboneDescription alexnet() {
  BackboneDescription net;
  net.layers = {convolution(3, 64, 11, 4, 2),
                relu(),
                max_pool(3),
                convolution(64, 192, 5, 1, 2),
                relu(),
                max_pool(3),
                convolution(192, 384, 3, 1, 1),
                relu(),
                convolution(384, 256, 3, 1, 1),
                relu(),
                convolution(256, 256, 3, 1, 1),
                relu()};
  net.taps = {1, 4, 7, 9, 11};
  net.channels = {64, 192, 384, 256, 256};
  net.smallest_side = 31;
  return net;
}

BackboneDescription vgg16() {
  BackboneDescription net;
  const std::vector<std::pair<int64_t, int64_t>> blocks = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
  int64_t channels = 3;
  for (const auto& [width, depth] : blocks) {
    if (!net.layers.empty()) net.layers.push_back(max_pool(2));
    for (int64_t i = 0; i < depth; ++i) {
      net.layers.push_back(convolution(channels, width, 3, 1, 1));
      net.layers.push_back(relu());
      channels = width;
    }
    net.taps.push_back(net.layers.size() - 1);
    net.channels.push_back(width);
  }
  net.smallest_side = 16;
  return net;
}

}  // namespace

size_t BackboneDescription::slice_of(size_t layer) const {
  return static_cast<size_t>(std::lower_bound(taps.begin(), taps.end(), layer) - taps.begin());
}

const BackboneDescription& describe(Backbone backbone) {
  static const BackboneDescription alex = alexnet(), vgg = vgg16();
  return backbone == Backbone::alexnet ? alex : vgg;
}

BackboneFeaturesImpl::BackboneFeaturesImpl(Backbone backbone) : backbone_(backbone) {
  const auto& net = describe(backbone);
  std::vector<torch::nn::Sequential> slices;
  for (size_t k = 0; k < net.taps.size(); ++k) slices.push_back(register_module(fmt::format("slice{}", k + 1), torch::nn::Sequential()));
  for (size_t n = 0; n < net.layers.size(); ++n) {
    const auto& layer = net.layers[n];
    if (layer.kind != Kind::convolution) continue;
    const torch::nn::Conv2d module(
        torch::nn::Conv2dOptions(layer.in_channels, layer.out_channels, layer.kernel).stride(layer.stride).padding(layer.padding));
    slices[net.slice_of(n)]->push_back(std::to_string(n), module);
    convolutions_.push_back(module);
  }
}

std::vector<at::Tensor> BackboneFeaturesImpl::forward(const at::Tensor& image) {
  const auto& net = describe(backbone_);
  if (std::min(image.size(-1), image.size(-2)) < net.smallest_side) {
    throw UsageError(fmt::format("a picture of {}x{} pixels is too small for the perceptual features; {} a side is the least",
                                 image.size(-1), image.size(-2), net.smallest_side));
  }
  std::vector<at::Tensor> maps;
  at::Tensor x = image;
  size_t next_convolution = 0;
  for (size_t n = 0; n < net.layers.size(); ++n) {
    const auto& layer = net.layers[n];
    if (layer.kind == Kind::convolution) {
      x = convolutions_[next_convolution++]->forward(x);
    } else if (layer.kind == Kind::relu) {
      x = torch::relu(x);
    } else {
      x = torch::max_pool2d(x, layer.kernel, layer.stride);
    }
    if (std::binary_search(net.taps.begin(), net.taps.end(), n)) maps.push_back(x);
  }
  return maps;
}

StateDict backbone_from_torchvision(Backbone backbone, const StateDict& weights) {
  const auto& net = describe(backbone);
  StateDict renamed;
  for (size_t n = 0; n < net.layers.size(); ++n) {
    for (const char* part : {"weight", "bias"}) {
      const auto* tensor = weights.find(fmt::format("features.{}.{}", n, part));
      if (tensor != nullptr) renamed.add(fmt::format("slice{}.{}.{}", net.slice_of(n) + 1, n, part), *tensor);
    }
  }
  return renamed;
}

}  // namespace lpnsr
