#include "losses/lpips.h"

#include <fmt/ranges.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr double kFeatureFloor = 1e-10;

at::Tensor channel_constants(std::initializer_list<double> values) {
  return torch::tensor(std::vector<double>(values), torch::kFloat32).view({1, 3, 1, 1});
}

}  // namespace

Backbone backbone_of(LpipsNetwork network) {
  switch (network) {
    case LpipsNetwork::vgg:
      return Backbone::vgg16;
    case LpipsNetwork::squeeze:
      return Backbone::squeezenet;
    case LpipsNetwork::alex:
      break;
  }
  return Backbone::alexnet;
}

LpipsImpl::LpipsImpl(LpipsNetwork network) : network_(network) {
  const Backbone backbone = backbone_of(network);
  const auto scaling = register_module("scaling_layer", torch::nn::ModuleDict());
  shift_ = scaling->register_buffer("shift", channel_constants({-0.030, -0.088, -0.188}));
  scale_ = scaling->register_buffer("scale", channel_constants({0.458, 0.448, 0.450}));
  net_ = register_module("net", BackboneFeatures(backbone));
  for (const int64_t channels : describe(backbone).channels) {
    const auto linear = torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, 1, 1).bias(false));
    // Layer 0 of the published model is a dropout that never acts when the metric is used.
    const auto wrapper = register_module(fmt::format("lin{}", linear_.size()), torch::nn::ModuleDict());
    wrapper->register_module("model", torch::nn::ModuleDict())->register_module("1", linear);
    linear_.push_back(linear);
  }
  for (auto& parameter : parameters()) parameter.set_requires_grad(false);
}

std::vector<at::Tensor> LpipsImpl::unit_features(const at::Tensor& image) {
  auto maps = net_->forward(((image - shift_) / scale_).contiguous(at::MemoryFormat::ChannelsLast));
  for (auto& map : maps) map = map / (map.square().sum(1, true).sqrt() + kFeatureFloor);
  return maps;
}

std::vector<at::Tensor> LpipsImpl::layer_maps(const at::Tensor& image, const at::Tensor& reference) {
  if (image.dim() != 4 || image.size(1) != 3 || image.sizes() != reference.sizes()) {
    throw UsageError(fmt::format("LPIPS compares two pictures [N,3,H,W] of one size; got [{}] and [{}]", fmt::join(image.sizes(), ","),
                                 fmt::join(reference.sizes(), ",")));
  }
  std::vector<at::Tensor> of_image, of_reference;
  if (image.requires_grad() || reference.requires_grad()) {
    // In training the true picture needs no backward pass.
    of_image = unit_features(image);
    of_reference = unit_features(reference);
  } else {
    for (const auto& both : unit_features(torch::cat({image, reference}))) {
      const auto halves = both.chunk(2);
      of_image.push_back(halves[0]);
      of_reference.push_back(halves[1]);
    }
  }
  std::vector<at::Tensor> terms;
  for (size_t k = 0; k < linear_.size(); ++k) {
    terms.push_back(linear_[k]->forward((of_image[k] - of_reference[k]).square()));
  }
  return terms;
}

std::vector<at::Tensor> LpipsImpl::layers(const at::Tensor& image, const at::Tensor& reference) {
  auto terms = layer_maps(image, reference);
  for (auto& term : terms) term = term.mean({1, 2, 3});
  return terms;
}

at::Tensor LpipsImpl::spatial(const at::Tensor& image, const at::Tensor& reference) {
  at::Tensor sum;
  for (const auto& map : layer_maps(image, reference)) {
    const auto enlarged = torch::upsample_bilinear2d(map, {image.size(2), image.size(3)}, false);
    sum = sum.defined() ? sum + enlarged : enlarged;
  }
  return sum;
}

at::Tensor LpipsImpl::forward(const at::Tensor& image, const at::Tensor& reference) {
  return torch::stack(layers(image, reference)).sum(0);
}

}  // namespace lpnsr
