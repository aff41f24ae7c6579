#include "losses/backbones.h"

#include <array>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

using Kind = BackboneLayer::Kind;

BackboneLayer convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding) {
  return {Kind::convolution, in, out, kernel, stride, padding};
}
BackboneLayer relu() { return {}; }
BackboneLayer max_pool(int64_t kernel, bool ceil = false) { return {.kind = Kind::max_pool, .kernel = kernel, .stride = 2, .ceil = ceil}; }
BackboneLayer fire(int64_t in, int64_t squeezed, int64_t out) {
  return {.kind = Kind::fire, .in_channels = in, .out_channels = out, .squeezed = squeezed};
}

// The parts of a fire module under torchvision's names.
constexpr std::array<const char*, 3> fire_parts = {"squeeze", "expand1x1", "expand3x3"};

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

// torchvision's squeezenet1_1.
BackboneDescription squeezenet() {
  BackboneDescription net;
  net.layers = {convolution(3, 64, 3, 2, 0), relu(),
                max_pool(3, true),           fire(64, 16, 128),
                fire(128, 16, 128),          max_pool(3, true),
                fire(128, 32, 256),          fire(256, 32, 256),
                max_pool(3, true),           fire(256, 48, 384),
                fire(384, 48, 384),          fire(384, 64, 512),
                fire(512, 64, 512)};
  net.taps = {1, 4, 7, 9, 10, 11, 12};
  net.channels = {64, 128, 256, 384, 384, 512, 512};
  net.smallest_side = 17;
  return net;
}

Conv2d module_of(const BackboneLayer& layer) {
  return Conv2d(torch::nn::Conv2dOptions(layer.in_channels, layer.out_channels, layer.kernel).stride(layer.stride).padding(layer.padding));
}

}  // namespace

size_t BackboneDescription::slice_of(size_t layer) const {
  return static_cast<size_t>(std::lower_bound(taps.begin(), taps.end(), layer) - taps.begin());
}

const BackboneDescription& describe(Backbone backbone) {
  static const BackboneDescription alex = alexnet(), vgg = vgg16(), squeeze = squeezenet();
  return backbone == Backbone::alexnet ? alex : backbone == Backbone::vgg16 ? vgg : squeeze;
}

BackboneFeaturesImpl::BackboneFeaturesImpl(Backbone backbone) : backbone_(backbone) {
  const auto& net = describe(backbone);
  std::vector<torch::nn::ModuleDict> slices;
  for (size_t k = 0; k < net.taps.size(); ++k) slices.push_back(register_module(fmt::format("slice{}", k + 1), torch::nn::ModuleDict()));
  for (size_t n = 0; n < net.layers.size(); ++n) {
    const auto& layer = net.layers[n];
    auto& slice = slices[net.slice_of(n)];
    if (layer.kind == Kind::convolution) {
      convolutions_.push_back(slice->register_module(std::to_string(n), module_of(layer)));
    } else if (layer.kind == Kind::fire) {
      const auto unit = slice->register_module(std::to_string(n), torch::nn::ModuleDict());
      const int64_t half = layer.out_channels / 2;
      const std::array<BackboneLayer, 3> parts = {convolution(layer.in_channels, layer.squeezed, 1, 1, 0),
                                                  convolution(layer.squeezed, half, 1, 1, 0), convolution(layer.squeezed, half, 3, 1, 1)};
      for (size_t i = 0; i < parts.size(); ++i) convolutions_.push_back(unit->register_module(fire_parts[i], module_of(parts[i])));
    }
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
    } else if (layer.kind == Kind::fire) {
      x = torch::relu(convolutions_[next_convolution]->forward(x));
      x = torch::relu(torch::cat({convolutions_[next_convolution + 1]->forward(x), convolutions_[next_convolution + 2]->forward(x)}, 1));
      next_convolution += fire_parts.size();
    } else {
      x = torch::max_pool2d(x, layer.kernel, layer.stride, 0, 1, layer.ceil);
    }
    if (std::binary_search(net.taps.begin(), net.taps.end(), n)) maps.push_back(x);
  }
  return maps;
}

StateDict backbone_from_torchvision(Backbone backbone, const StateDict& weights) {
  const auto& net = describe(backbone);
  StateDict renamed;
  for (size_t n = 0; n < net.layers.size(); ++n) {
    const std::string theirs = fmt::format("features.{}.", n), ours = fmt::format("slice{}.{}.", net.slice_of(n) + 1, n);
    for (const auto& [key, tensor] : weights.below(theirs)) renamed.add(ours + key, tensor);
  }
  return renamed;
}

}  // namespace lpnsr
