#include "losses/discriminator.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "losses/spectral_norm.h"

namespace lpnsr {
namespace {

constexpr int64_t kernel = 4;
constexpr int64_t padding = 1;
constexpr double leak = 0.2;

// Sides after the strided and the two unstrided 4x4 convolutions.
int64_t side_after(int64_t side, int64_t n_layers) {
  const auto convolved = [](int64_t n, int64_t stride) { return n + 2 * padding < kernel ? 0 : (n + 2 * padding - kernel) / stride + 1; };
  for (int64_t layer = 0; layer < n_layers; ++layer) side = convolved(side, 2);
  return convolved(convolved(side, 1), 1);
}

}  // namespace

void DiscriminatorOptions::fields(FieldVisitor& v) {
  v.integer("input_nc", input_nc, {1}, "channels of the picture or latent that is judged");
  v.integer("ndf", ndf, {1}, "channels of the first layer");
  v.integer("n_layers", n_layers, {1, 8}, "strided layers: 3 judges patches of 70x70 pixels");
  v.choice("norm", norm, {"spectral", "batch", "instance", "none"}, "normalisation of the layers");
}

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorOptions& options) : options_(options) {
  const auto convolution = [&](int64_t in, int64_t out, int64_t stride) {
    if (options_.norm == "spectral") {
      model_->push_back(SpectralConv(in, out, kernel, stride, padding));
    } else {
      model_->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(padding)));
    }
  };
  const auto activation = [&] { model_->push_back(torch::nn::LeakyReLU(torch::nn::LeakyReLUOptions().negative_slope(leak))); };

  convolution(options_.input_nc, options_.ndf, 2);
  activation();
  int64_t channels = options_.ndf;
  for (int64_t layer = 1; layer <= options_.n_layers; ++layer) {
    const int64_t wider = options_.ndf * std::min<int64_t>(int64_t{1} << layer, 8);
    convolution(channels, wider, layer < options_.n_layers ? 2 : 1);
    if (options_.norm == "batch") model_->push_back(torch::nn::BatchNorm2d(wider));
    if (options_.norm == "instance") model_->push_back(torch::nn::InstanceNorm2d(wider));
    activation();
    channels = wider;
  }
  convolution(channels, 1, 1);
  register_module("model", model_);
}

at::Tensor DiscriminatorImpl::forward(const at::Tensor& image) {
  if (image.dim() != 4 || image.size(1) != options_.input_nc) {
    throw Error(fmt::format("discriminator: expected [N,{},H,W], got [{}]", options_.input_nc, fmt::join(image.sizes(), ",")));
  }
  if (side_after(std::min(image.size(2), image.size(3)), options_.n_layers) < 1) {
    throw UsageError(fmt::format("discriminator: {}x{} pixels leave nothing after n_layers = {}; take fewer layers or larger pictures",
                                 image.size(2), image.size(3), options_.n_layers));
  }
  return model_->forward(image);
}

}  // namespace lpnsr
