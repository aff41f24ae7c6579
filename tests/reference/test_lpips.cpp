// LPIPS with the real linear layers and synthetic backbones, against goldens/metrics.
#include <cmath>

#include "core/checkpoint.h"
#include "core/image.h"
#include "core/state_dict.h"
#include "losses/lpips.h"
#include "tests/support/metric_cases.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::shared_salt;
using testing::synthetic_tensor;

struct Flavour {
  LpipsNetwork network;
  std::string name, torchvision_name, manifest;
};

// The backbone is written as torchvision's file and read back, so the renaming is tested with the numbers.
Lpips reference_lpips(const Flavour& flavour, const testing::TemporaryFolder& folder) {
  const auto file = testing::write_published(
      folder, flavour.manifest, [](const std::string&, at::Tensor value) { return value.dim() > 1 ? value * std::sqrt(2.0) : value; },
      flavour.torchvision_name + "/");
  return load_lpips(flavour.network, {testing::goldens() / ("metrics/lpips_lin_" + flavour.name + ".safetensors"), file});
}

void expect_flavour(const Flavour& flavour) {
  const testing::TemporaryFolder folder;
  auto lpips = reference_lpips(flavour, folder);
  const auto reference = testing::load_case("metrics/lpips_" + flavour.name);

  const auto in0 = synthetic_tensor(shared_salt, "lpips/" + flavour.name + "/in0", {2, 3, 64, 64});
  const auto in1 = 0.6 * in0 + 0.4 * synthetic_tensor(shared_salt, "lpips/" + flavour.name + "/in1", {2, 3, 64, 64});
  EXPECT_TRUE(close(lpips->forward(in0, in1), reference.at("square/value").view({2}), 0.0, 2e-5));
  EXPECT_TRUE(close(torch::stack(lpips->layers(in0, in1), 1), reference.at("square/per_layer"), 0.0, 5e-5));
  // The stored gradient is of a float64 run; in float32 a ReLU or pooling decision may flip with the machine's kernels
  // (6.6e-4 for VGG with oneDNN and AVX-512).
  const auto relative_error = [&](at::ScalarType type) {
    lpips->to(type);
    const auto leaf = in0.to(type, false, true).requires_grad_();
    lpips->forward(leaf, in1.to(type)).sum().backward();
    const auto gradient = reference.at("square/grad_in0").to(torch::kFloat64);
    return ((leaf.grad() - gradient).norm() / gradient.norm()).item<double>();
  };
  EXPECT_LT(relative_error(torch::kFloat64), 1e-6);
  // In SqueezeNet a max pool may choose another element as well.
  EXPECT_LT(relative_error(torch::kFloat32), flavour.network == LpipsNetwork::squeeze ? 2e-2 : 2e-3);

  using torch::indexing::Slice;
  const auto crop = [](const std::string& name) {
    const auto image = read_image(testing::goldens() / "metrics/images" / name).rgb;
    return (image.index({Slice(), Slice(20, 92), Slice(30, 134)}) * 2 - 1).unsqueeze(0);
  };
  const auto distorted = crop("ost_288x200_dist.png"), truth = crop("ost_288x200.png");
  EXPECT_TRUE(close(lpips->forward(distorted, truth), reference.at("real/value").view({1}), 0.0, 2e-5));
  EXPECT_TRUE(close(torch::stack(lpips->layers(distorted, truth), 1), reference.at("real/per_layer"), 0.0, 5e-5));
  EXPECT_TRUE(testing::stage_close(reference, "real/spatial_map", lpips->spatial(distorted, truth), 0, 1e-4));
}

TEST(ReferenceLpips, Alex) {
  LPNSR_REQUIRE_GOLDENS();
  expect_flavour({LpipsNetwork::alex, "alex", "alexnet", "torchvision_alexnet-owt-7be5be79"});
}

TEST(ReferenceLpips, Vgg) {
  LPNSR_REQUIRE_GOLDENS();
  expect_flavour({LpipsNetwork::vgg, "vgg", "vgg16", "torchvision_vgg16-397923af"});
}

TEST(ReferenceLpips, Squeeze) {
  LPNSR_REQUIRE_GOLDENS();
  expect_flavour({LpipsNetwork::squeeze, "squeeze", "squeezenet1_1", "torchvision_squeezenet1_1-b8a52dc0"});
}

TEST(ReferenceLpips, StateHasThePublishedNames) {
  LPNSR_REQUIRE_GOLDENS();
  std::ifstream file(testing::goldens() / "training/manifests/lpips_vgg.json");
  const auto manifest = nlohmann::json::parse(file);
  const auto state = state_dict(*Lpips(LpipsNetwork::vgg));
  size_t published = 0;
  for (const auto& entry : manifest) {
    const std::string key = entry[0];
    if (key.starts_with("lins.")) continue;  // the same tensors again
    ++published;
    ASSERT_TRUE(state.contains(key)) << key;
    EXPECT_EQ(state.at(key).sizes().vec(), entry[1].get<std::vector<int64_t>>()) << key;
  }
  EXPECT_EQ(state.size(), published);
}

}  // namespace
}  // namespace lpnsr
