#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "core/error.h"
#include "core/state_dict.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A parameter and a buffer of its own, and two children, of which one has buffers.
class Network : public torch::nn::Module {
 public:
  Network() {
    norm = register_module("norm", torch::nn::BatchNorm2d(2));
    scale = register_parameter("scale", torch::full({3}, 2.0F));
    register_buffer("attn_mask", torch::full({2, 2}, -100.0F));
    layers = register_module("layers", torch::nn::Sequential(torch::nn::Linear(2, 3)));
  }
  torch::nn::BatchNorm2d norm{nullptr};
  torch::nn::Sequential layers{nullptr};
  at::Tensor scale;
};

StateDict copy_of(const torch::nn::Module& module) {
  StateDict result;
  for (const auto& [key, value] : state_dict(module)) result.add(key, value.detach().clone());
  return result;
}

StateDict without(const StateDict& weights, const std::string& key) {
  StateDict result;
  for (const auto& [name, value] : weights) {
    if (name != key) result.add(name, value);
  }
  return result;
}

std::vector<std::string> keys(const StateDict& weights) {
  std::vector<std::string> result;
  for (const auto& entry : weights) result.push_back(entry.first);
  return result;
}

TEST(StateDict, NamesAndOrderAreThoseOfPytorch) {
  EXPECT_THAT(keys(state_dict(Network())), ElementsAre("scale", "attn_mask", "norm.weight", "norm.bias", "norm.running_mean",
                                                       "norm.running_var", "norm.num_batches_tracked", "layers.0.weight", "layers.0.bias"));
}

TEST(StateDict, SharesMemoryWithTheModule) {
  Network network;
  torch::NoGradGuard no_grad;
  at::Tensor(state_dict(network).at("scale")).fill_(7.0F);
  EXPECT_EQ(network.scale[0].item<float>(), 7.0F);
}

TEST(StateDict, AddReplacesAnEntryInItsPlace) {
  StateDict weights;
  weights.add("a", torch::zeros(1));
  weights.add("b", torch::zeros(1));
  weights.add("a", torch::ones(1));
  EXPECT_THAT(keys(weights), ElementsAre("a", "b"));
  EXPECT_EQ(weights.at("a").item<float>(), 1.0F);
}

TEST(StateDict, PrefixesComeAndGo) {
  StateDict weights;
  weights.add("a", torch::zeros(1));
  weights.add("b.c", torch::zeros(1));
  EXPECT_THAT(keys(weights.with_prefix("net.")), ElementsAre("net.a", "net.b.c"));
  EXPECT_THAT(keys(weights.below("b.")), ElementsAre("c"));
}

TEST(StateDict, AMissingNameIsToldWithTheNearest) {
  StateDict weights;
  weights.add("conv.weight", torch::zeros(1));
  EXPECT_THROW_MESSAGE(weights.at("conv.wieght"), Error, AllOf(HasSubstr("conv.wieght"), HasSubstr("did you mean 'conv.weight'")));
}

TEST(LoadStrictly, CopiesEveryTensorAndWidensHalf) {
  Network source, target;
  torch::NoGradGuard no_grad;
  source.scale.copy_(torch::tensor({0.1F, -2.5F, 1e-3F}));
  source.norm->num_batches_tracked.fill_(41);
  StateDict weights;
  for (const auto& [key, value] : copy_of(source)) weights.add(key, value.is_floating_point() ? value.to(at::kHalf) : value);
  load_strictly(target, weights, "w.pth");
  EXPECT_EQ(target.scale.scalar_type(), at::kFloat);
  EXPECT_TRUE(torch::equal(target.scale, source.scale.to(at::kHalf).to(at::kFloat)));
  EXPECT_EQ(target.norm->num_batches_tracked.item<int64_t>(), 41);
}

TEST(LoadStrictly, DerivedBuffersMayBeThereOrNotAndAreNotOverwritten) {
  Network network;
  StateDict weights = copy_of(network);
  weights.add("attn_mask", torch::ones({5}));
  weights.add("elsewhere.relative_position_index", torch::ones({5}));
  EXPECT_NO_THROW(load_strictly(network, weights, "w.pth"));
  EXPECT_EQ(state_dict(network).at("attn_mask")[0][0].item<float>(), -100.0F);
  EXPECT_NO_THROW(load_strictly(network, without(weights, "attn_mask"), "w.pth"));
}

TEST(LoadStrictly, NamesEveryFaultAndChangesNothing) {
  Network network;
  const StateDict before = copy_of(network);
  StateDict weights;
  for (const auto& [key, value] : without(before, "norm.bias")) weights.add(key, value + 1);
  weights.add("layers.0.weight", torch::zeros({2, 3}));
  weights.add("layers.1.weight", torch::zeros({4}));
  weights.add("norm.num_batches_tracked", torch::tensor(1.0F));
  weights.add("norm.running_mean", torch::tensor({1.0F, std::nanf("")}));
  EXPECT_THROW_MESSAGE(
      load_strictly(network, weights, "folder/w.pth"), DataError,
      AllOf(HasSubstr("folder/w.pth: "), HasSubstr("norm.bias [2]"), HasSubstr("layers.1.weight [4]"),
            HasSubstr("layers.0.weight: the file has [2, 3], the module needs [3, 2]"), HasSubstr("norm.num_batches_tracked"),
            HasSubstr("norm.running_mean: 1 of 2 values"), Not(HasSubstr("scale"))));
  for (const auto& [key, value] : state_dict(network)) EXPECT_TRUE(torch::equal(value, before.at(key))) << key;
}

TEST(LoadStrictly, ALongListIsCutWithItsCount) {
  Network network;
  StateDict weights = copy_of(network);
  for (int i = 0; i < 25; ++i) weights.add("surplus." + std::to_string(i), torch::zeros(1));
  EXPECT_THROW_MESSAGE(load_strictly(network, weights, "w.pth"), DataError,
                       AllOf(HasSubstr("(25)"), HasSubstr("surplus.9 "), Not(HasSubstr("surplus.10 ")), HasSubstr("15 more")));
}

TEST(LoadStrictly, KeepsParametersTrainable) {
  Network network;
  load_strictly(network, copy_of(Network()), "w.pth");
  EXPECT_TRUE(network.scale.requires_grad());
  EXPECT_TRUE(network.scale.is_leaf());
}

}  // namespace
}  // namespace lpnsr::testing
