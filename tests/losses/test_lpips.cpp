#include "core/checkpoint.h"
#include "core/error.h"
#include "losses/lpips.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::synthetic_tensor;
using testing::TemporaryFolder;

Lpips synthetic_lpips(LpipsNetwork network) {
  Lpips lpips(network);
  testing::fill_synthetic(*lpips, "lpips-test", {"scaling_layer"});
  for (const auto& [key, tensor] : state_dict(*lpips)) {
    if (key.starts_with("lin")) tensor.abs_();
  }
  return lpips;
}

// torchvision's file of the same backbone: sliceK.N becomes features.N.
StateDict torchvision_file(const StateDict& state) {
  StateDict renamed;
  for (const auto& [key, tensor] : state.below("net.")) renamed.add("features" + key.substr(key.find('.')), tensor);
  renamed.add("classifier.0.weight", torch::zeros({1, 1}));
  return renamed;
}

StateDict linear_file(const StateDict& state) {
  StateDict linear;
  for (const auto& [key, tensor] : state) {
    if (key.starts_with("lin")) linear.add(key, tensor);
  }
  return linear;
}

TEST(Lpips, EqualPicturesHaveNoDistance) {
  for (const auto network : {LpipsNetwork::alex, LpipsNetwork::vgg}) {
    auto lpips = synthetic_lpips(network);
    const auto picture = synthetic_tensor("lpips-test", "picture", {2, 3, 40, 36});
    EXPECT_EQ(lpips->forward(picture, picture).abs().max().item<double>(), 0.0);
    const auto other = synthetic_tensor("lpips-test", "other", {2, 3, 40, 36});
    const auto there = lpips->forward(picture, other), back = lpips->forward(other, picture);
    EXPECT_GT(there.min().item<double>(), 0.0);
    EXPECT_TRUE(torch::allclose(there, back));
    EXPECT_EQ(there.sizes().vec(), std::vector<int64_t>{2});
  }
}

TEST(Lpips, GradientMatchesFiniteDifferencesAndWeightsAreFrozen) {
  auto lpips = synthetic_lpips(LpipsNetwork::vgg);
  lpips->to(torch::kFloat64);
  const auto reference = synthetic_tensor("lpips-test", "b", {1, 3, 16, 16}).to(torch::kFloat64);
  const auto picture = synthetic_tensor("lpips-test", "a", {1, 3, 16, 16}).to(torch::kFloat64).requires_grad_();
  lpips->forward(picture, reference).sum().backward();
  const auto gradient = picture.grad().flatten();
  const double step = 1e-6;
  for (const int64_t i : {0, 100, 391, 767}) {
    auto moved = picture.detach().clone();
    moved.view({-1})[i] += step;
    const double above = lpips->forward(moved, reference).item<double>();
    moved.view({-1})[i] -= 2 * step;
    const double below = lpips->forward(moved, reference).item<double>();
    EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * step), 1e-3 * gradient.abs().max().item<double>()) << i;
  }
  for (const auto& parameter : lpips->parameters()) EXPECT_FALSE(parameter.requires_grad());
}

TEST(Lpips, LoadsEveryPublishedForm) {
  const TemporaryFolder folder;
  auto lpips = synthetic_lpips(LpipsNetwork::alex);
  const auto state = state_dict(*lpips);
  StateDict whole = state;
  for (const auto& [key, tensor] : linear_file(state)) whole.add("lins." + key.substr(3), tensor);
  write_safetensors(folder / "alexnet-owt-7be5be79.safetensors", torchvision_file(state));
  write_safetensors(folder / "alex.safetensors", linear_file(state));
  write_safetensors(folder / "whole.safetensors", whole);
  const auto a = synthetic_tensor("lpips-test", "a", {1, 3, 32, 32}), b = synthetic_tensor("lpips-test", "b", {1, 3, 32, 32});
  const double want = lpips->forward(a, b).item<double>();
  const auto found = find_lpips_files(LpipsNetwork::alex, folder.path());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(load_lpips(LpipsNetwork::alex, found)->forward(a, b).item<double>(), want);
  EXPECT_EQ(load_lpips(LpipsNetwork::alex, {folder / "whole.safetensors"})->forward(a, b).item<double>(), want);

  const TemporaryFolder single;
  write_safetensors(single / "lpips_alex.safetensors", whole);
  EXPECT_EQ(find_lpips_files(LpipsNetwork::alex, single.path()).size(), 1u);
}

TEST(Lpips, MissingFilesAreNamed) {
  const TemporaryFolder folder;
  const auto state = state_dict(*synthetic_lpips(LpipsNetwork::alex));
  write_safetensors(folder / "alex.safetensors", linear_file(state));
  write_safetensors(folder / "backbone.safetensors", torchvision_file(state));
  EXPECT_THROW_MESSAGE(find_lpips_files(LpipsNetwork::vgg, folder.path()), Error,
                       AllOf(HasSubstr("vgg16-397923af.pth"), HasSubstr("LPIPS_v0.1_vgg-a78928a0.pth"), HasSubstr(folder.path().string())));
  EXPECT_THROW_MESSAGE(find_lpips_files(LpipsNetwork::alex, folder.path()), Error, HasSubstr("alexnet-owt-7be5be79.pth not found"));
  EXPECT_THROW_MESSAGE(load_lpips(LpipsNetwork::vgg, {}), UsageError, HasSubstr("no weight files given"));
  EXPECT_THROW_MESSAGE(load_lpips(LpipsNetwork::alex, {folder / "alex.safetensors"}), DataError, HasSubstr("the backbone is missing"));
  EXPECT_THROW_MESSAGE(load_lpips(LpipsNetwork::alex, {folder / "backbone.safetensors"}), DataError,
                       HasSubstr("the linear layers are missing"));
  // AlexNet's layers do not fit VGG16.
  EXPECT_THROW(load_lpips(LpipsNetwork::vgg, {folder / "alex.safetensors", folder / "backbone.safetensors"}), DataError);
  StateDict other;
  other.add("conv_first.weight", torch::zeros({2}));
  write_safetensors(folder / "other.safetensors", other);
  EXPECT_THROW_MESSAGE(load_lpips(LpipsNetwork::alex, {folder / "other.safetensors"}), DataError, HasSubstr("conv_first.weight"));
}

TEST(Lpips, PicturesMustFit) {
  Lpips lpips(LpipsNetwork::alex);
  EXPECT_THROW_MESSAGE(lpips->forward(torch::rand({1, 3, 40, 40}), torch::rand({1, 3, 40, 41})), UsageError, HasSubstr("[1,3,40,41]"));
  EXPECT_THROW_MESSAGE(lpips->forward(torch::rand({1, 3, 30, 40}), torch::rand({1, 3, 30, 40})), UsageError, HasSubstr("31 a side"));
  EXPECT_EQ(lpips->forward(torch::rand({1, 3, 31, 31}), torch::rand({1, 3, 31, 31})).numel(), 1);
}

}  // namespace
}  // namespace lpnsr
