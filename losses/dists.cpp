#include "losses/dists.h"

#include <ATen/Functions.h>
#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "losses/backbones.h"

namespace lpnsr {
namespace {

constexpr int64_t dists_channels = 3 + 64 + 128 + 256 + 512 + 512;
constexpr double stability = 1e-6;  // c1 and c2 of the paper's Eq. 6 and 7

// Root of the mean of squares under a 3x3 Hanning window, every second pixel.
at::Tensor l2_pool(const at::Tensor& x) {
  // The inner values of a five-point Hanning window, 1/2, 1, 1/2: their outer product sums to four.
  const auto line = at::tensor({0.25, 0.5, 0.25}, at::kDouble);
  const auto window = line.outer(line).to(at::kFloat).to(x.options()).expand({x.size(1), 1, 3, 3});
  return (at::conv2d(x.square(), window, {}, at::IntArrayRef{2, 2}, at::IntArrayRef{1, 1}, at::IntArrayRef{1, 1}, x.size(1)) + 1e-12)
      .sqrt();
}

at::Tensor row_like(const at::Tensor& image, std::initializer_list<double> values) {
  return at::tensor(at::ArrayRef<double>(values)).to(at::kFloat).to(image.options()).view({1, 3, 1, 1});
}

}  // namespace

Dists::Dists(const std::vector<std::filesystem::path>& files, c10::Device device) {
  StateDict entries;
  std::vector<std::string> names;
  for (const auto& file : files) {
    for (const auto& [key, tensor] : read_weights(file).tensors) entries.add(key, tensor);
    names.push_back(file.string());
  }
  const bool whole = entries.contains("stage1.0.weight");
  // The window and the constants of the whole module follow from the definition.
  WeightReader reader(std::move(entries), fmt::format("{}", fmt::join(names, " + ")), device,
                      {.derived = {"classifier.", ".filter", "mean", "std"}});
  const auto& net = describe(Backbone::vgg16);
  for (size_t n = 0; n < net.layers.size(); ++n) {
    const auto& layer = net.layers[n];
    if (layer.kind != BackboneLayer::Kind::convolution) continue;
    const std::string key = whole ? fmt::format("stage{}.{}.", net.slice_of(n) + 1, n) : fmt::format("features.{}.", n);
    weights_.push_back(reader.take(key + "weight", {layer.out_channels, layer.in_channels, layer.kernel, layer.kernel}));
    biases_.push_back(reader.take(key + "bias", {layer.out_channels}));
  }
  alpha_ = reader.take("alpha", {1, dists_channels, 1, 1}).flatten();
  beta_ = reader.take("beta", {1, dists_channels, 1, 1}).flatten();
  reader.finish();
  const auto sum = alpha_.sum() + beta_.sum();
  alpha_ = alpha_ / sum;
  beta_ = beta_ / sum;
}

void Dists::to(at::ScalarType type) {
  for (auto* list : {&weights_, &biases_}) {
    for (auto& tensor : *list) tensor = tensor.to(type);
  }
  alpha_ = alpha_.to(type);
  beta_ = beta_.to(type);
}

std::vector<at::Tensor> Dists::features(const at::Tensor& image) const {
  if (image.dim() != 4 || image.size(1) != 3 || std::min(image.size(2), image.size(3)) < 16)
    throw UsageError(fmt::format("DISTS takes pictures [N,3,H,W] of 16 pixels a side or more; got [{}]", fmt::join(image.sizes(), ",")));
  std::vector<at::Tensor> maps = {image};
  const auto& net = describe(Backbone::vgg16);
  auto x = (image - row_like(image, {0.485, 0.456, 0.406})) / row_like(image, {0.229, 0.224, 0.225});
  size_t next = 0;
  for (size_t n = 0; n < net.layers.size(); ++n) {
    switch (net.layers[n].kind) {
      case BackboneLayer::Kind::convolution:
        x = at::conv2d(x, weights_[next], biases_[next], at::IntArrayRef{1, 1}, at::IntArrayRef{1, 1});
        ++next;
        break;
      case BackboneLayer::Kind::relu:
        x = at::relu(x);
        break;
      default:
        x = l2_pool(x);
    }
    if (std::binary_search(net.taps.begin(), net.taps.end(), n)) maps.push_back(x);
  }
  return maps;
}

at::Tensor Dists::operator()(const at::Tensor& image, const at::Tensor& reference) const {
  if (image.sizes() != reference.sizes()) {
    throw UsageError(fmt::format("DISTS compares pictures of one size; got [{}] and [{}]", fmt::join(image.sizes(), ","),
                                 fmt::join(reference.sizes(), ",")));
  }
  const auto of_image = features(image), of_reference = features(reference);
  at::Tensor similarity;
  int64_t first = 0;
  for (size_t k = 0; k < of_image.size(); ++k) {
    const auto &x = of_image[k], &y = of_reference[k];
    const int64_t channels = x.size(1);
    const auto mx = x.mean({2, 3}, true), my = y.mean({2, 3}, true);
    const auto vx = (x - mx).square().mean({2, 3}), vy = (y - my).square().mean({2, 3});
    const auto covariance = (x * y).mean({2, 3}) - (mx * my).flatten(1);
    const auto texture = ((2 * mx * my + stability) / (mx.square() + my.square() + stability)).flatten(1);
    const auto structure = (2 * covariance + stability) / (vx + vy + stability);
    const auto term = texture.matmul(alpha_.narrow(0, first, channels)) + structure.matmul(beta_.narrow(0, first, channels));
    similarity = similarity.defined() ? similarity + term : term;
    first += channels;
  }
  return 1 - similarity;
}

std::vector<std::string> dists_files() { return {"vgg16-397923af.pth", "DISTS_weights-f5e65c96.pth"}; }

}  // namespace lpnsr
