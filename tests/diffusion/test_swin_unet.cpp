#include "core/autocast.h"
#include "core/error.h"
#include "core/state_dict.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/swin_block.h"
#include "diffusion/swin_unet.h"
#include "diffusion/system.h"
#include "tests/support/fixtures.h"
#include "tests/support/norm_groups.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

SwinUNetOptions tiny_unet() {
  SwinUNetOptions o;
  o.image_size = 16;
  o.lq_size = 16;
  o.model_channels = 32;
  o.channel_mult = {1, 2};
  o.num_res_blocks = {1};
  o.attention_resolutions = {16, 8};
  o.swin_embed_dim = 32;
  o.num_head_channels = 16;
  o.window_size = 4;
  return o;
}

SwinUNet filled(const SwinUNetOptions& options) {
  SwinUNet network(options);
  fill_synthetic(*network, "unit");
  return network;
}

struct Inputs {
  at::Tensor x, lq, t;
};
Inputs inputs(int64_t batch, int64_t height, int64_t width, c10::ScalarType type = torch::kFloat32) {
  return {synthetic_tensor("unit", "x", {batch, 3, height, width}).to(type),
          synthetic_tensor("unit", "lq", {batch, 3, height, width}).to(type), torch::arange(batch)};
}

TEST(SwinUNet, RefusesSizesThatTheWindowsDoNotFitAndSaysWhichWouldDo) {
  auto network = filled(tiny_unet());
  EXPECT_EQ(side_multiple(tiny_unet()), 8);
  EXPECT_EQ(side_multiple(SwinUNetOptions()), 64);
  const auto i = inputs(1, 20, 16);
  EXPECT_THROW_MESSAGE(network->forward(i.x, i.t, i.lq), UsageError, AllOf(HasSubstr("20x16"), HasSubstr("24x16")));
  const auto right = inputs(1, 16, 16);
  EXPECT_THROW_MESSAGE(network->forward(right.x, right.t, i.lq), UsageError, HasSubstr("[1,3,16,16]"));
  EXPECT_THROW(network->forward(right.x.narrow(1, 0, 2), right.t, right.lq), UsageError);
  EXPECT_THROW(network->forward(right.x, torch::arange(3), right.lq), UsageError);
}

TEST(SwinUNet, RefusesOptionsThatCannotBe) {
  const auto refused = [](auto change, const char* message) {
    auto options = tiny_unet();
    change(options);
    EXPECT_THROW_MESSAGE(SwinUNet{options}, UsageError, HasSubstr(message));
  };
  refused([](auto& o) { o.model_channels = 40; }, "multiple of 32");
  refused([](auto& o) { o.norm_groups = 5; }, "multiple of 5");
  refused([](auto& o) { o.num_res_blocks = {1, 1, 1}; }, "num_res_blocks");
  refused([](auto& o) { o.num_head_channels = 5; }, "num_head_channels");
  refused([](auto& o) { o.lq_size = 48; }, "lq_size");
  refused([](auto& o) { o.image_size = 15; }, "image_size");
  refused([](auto& o) { o.channel_mult = {}; }, "channel_mult");
}

TEST(SwinUNet, BatchElementsDoNotInfluenceEachOther) {
  auto network = filled(tiny_unet());
  network->eval();
  const c10::InferenceMode inference;
  const auto i = inputs(3, 16, 24);
  const auto together = network->forward(i.x, i.t, i.lq);
  for (int64_t n = 0; n < 3; ++n) {
    const auto alone = network->forward(i.x.narrow(0, n, 1), i.t.narrow(0, n, 1), i.lq.narrow(0, n, 1));
    EXPECT_TRUE(close(together.narrow(0, n, 1), alone, 2e-5, 1e-5)) << n;
  }
  const auto same = network->forward(i.x, torch::full({3}, 2, torch::kInt64), i.lq);
  EXPECT_TRUE(close(network->forward(i.x, torch::full({1}, 2, torch::kInt64), i.lq), same, 2e-5, 1e-5)) << "one index for all";
}

TEST(SwinUNet, KeptBiasFollowsTheWeights) {
  auto network = filled(tiny_unet());
  freeze(*network);
  const torch::NoGradGuard no_gradients;
  const auto i = inputs(1, 16, 16);
  const auto before = network->forward(i.x, i.t, i.lq);
  auto table = state_dict(*network).at("input_blocks.1.1.blocks.1.attn.relative_position_bias_table");
  table.mul_(3.0);
  EXPECT_FALSE(torch::equal(network->forward(i.x, i.t, i.lq), before));
  table.div_(3.0);
  EXPECT_TRUE(close(network->forward(i.x, i.t, i.lq), before, 1e-5, 1e-5));
}

// A frozen network computes what depends on the time step once; one that is trained never does.
TEST(SwinUNet, KeptTimeStepsFollowStepsPrecisionAndWeights) {
  auto trained = filled(tiny_unet()), network = filled(tiny_unet());
  trained->eval();
  freeze(*network);
  const torch::NoGradGuard no_gradients;
  const auto i = inputs(2, 16, 16);
  const auto steps = [](std::vector<int64_t> values) { return torch::tensor(values); };
  const auto expect_equal = [&](const std::string& when) {
    for (int round = 0; round < 2; ++round) {
      for (const auto& t : {steps({3}), steps({0}), steps({0, 3}), steps({3, 0})}) {
        EXPECT_TRUE(torch::equal(network->forward(i.x, t, i.lq), trained->forward(i.x, t, i.lq))) << when << ", t = " << t;
      }
    }
  };
  expect_equal("at first");
  {
    const AutocastScope bfloat16(torch::kCPU, torch::kBFloat16);
    expect_equal("in bfloat16");
  }
  expect_equal("after bfloat16");
  for (const std::string key : {"time_embed.0.weight", "input_blocks.1.0.emb_layers.1.weight", "output_blocks.0.0.out_layers.0.bias"}) {
    for (const auto& each : {network, trained}) state_dict(*each.ptr()).at(key).add_(0.125);
    expect_equal("after a change of " + key);
  }
  auto t = steps({1});
  static_cast<void>(network->forward(i.x, t, i.lq));
  t.fill_(2);
  EXPECT_TRUE(torch::equal(network->forward(i.x, t, i.lq), trained->forward(i.x, t, i.lq))) << "a caller's own tensor of steps";
}

// Directional derivatives over the input, the condition and every parameter at once against central differences.
TEST(SwinUNet, GradientsEqualDifferences) {
  auto network = filled(tiny_unet());
  network->to(torch::kFloat64);
  auto i = inputs(2, 8, 8, torch::kFloat64);
  std::vector<at::Tensor> variables = network->parameters();
  variables.push_back(i.x.requires_grad_());
  variables.push_back(i.lq.requires_grad_());
  const auto weight = synthetic_tensor("unit", "weight", {2, 3, 8, 8}).to(torch::kFloat64);
  const auto loss = [&] { return (network->forward(i.x, i.t, i.lq) * weight).sum(); };
  const auto gradients = torch::autograd::grad({loss()}, variables);
  const torch::NoGradGuard no_gradients;
  for (size_t v = 0; v < variables.size(); ++v) {
    const auto direction = synthetic_tensor("unit", "direction" + std::to_string(v), variables[v].sizes()).to(torch::kFloat64);
    const double step = 1e-5;
    variables[v].add_(direction, step);
    const double above = loss().item<double>();
    variables[v].sub_(direction, 2.0 * step);
    const double below = loss().item<double>();
    variables[v].add_(direction, step);
    const double expected = (above - below) / (2.0 * step), got = (gradients[v] * direction).sum().item<double>();
    EXPECT_NEAR(got, expected, 1e-5 * std::max(1.0, std::abs(expected))) << "variable " << v << " of " << variables.size();
  }
}

std::vector<at::Tensor> gradients_of(SwinUNet& network, Recomputed recomputed) {
  network->recompute(recomputed);
  network->zero_grad();
  auto i = inputs(2, 16, 16, network->parameters()[0].scalar_type());
  i.x.requires_grad_();
  torch::manual_seed(5);
  network->forward(i.x, i.t, i.lq).square().sum().backward();
  std::vector<at::Tensor> result = {i.x.grad().clone()};
  for (const auto& parameter : network->parameters()) {
    if (parameter.grad().defined()) result.push_back(parameter.grad().clone());
  }
  return result;
}

// In float64, since without gradients another attention kernel runs, which rounds otherwise.
TEST(SwinUNet, CheckpointingGivesTheSameGradients) {
  for (const double dropout : {0.0, 0.3}) {
    auto options = tiny_unet();
    options.dropout = dropout;
    auto network = filled(options);
    network->train();
    network->to(torch::kFloat64);
    const auto plain = gradients_of(network, Recomputed::none);
    ASSERT_EQ(plain.size(), network->parameters().size() + 1);
    for (const auto what : {Recomputed::attention, Recomputed::all}) {
      const auto recomputed = gradients_of(network, what);
      ASSERT_EQ(plain.size(), recomputed.size());
      for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(close(recomputed[i], plain[i], 1e-9, 1e-9)) << i << ", dropout " << dropout;
    }
  }
}

TEST(SwinUNet, AutocastStaysNearFloat32) {
  auto network = filled(tiny_unet());
  network->eval();
  const c10::InferenceMode inference;
  const auto i = inputs(1, 16, 16);
  const auto want = network->forward(i.x, i.t, i.lq);
  const AutocastScope bfloat16(torch::kCPU, torch::kBFloat16);
  const auto got = network->forward(i.x, i.t, i.lq);
  EXPECT_EQ(got.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(close(got, want, 0.15, 0.05));
  EXPECT_FALSE(torch::equal(got, want));
}

TEST(SwinUNet, FrozenNetworkPassesGradientsToItsInput) {
  auto network = filled(tiny_unet());
  const auto with_parameters = gradients_of(network, Recomputed::none)[0];
  for (auto& parameter : network->parameters()) parameter.requires_grad_(false);
  for (const auto what : {Recomputed::none, Recomputed::attention, Recomputed::all}) {
    const auto gradients = gradients_of(network, what);
    EXPECT_TRUE(close(gradients[0], with_parameters, 1e-3, 1e-4)) << static_cast<int>(what);
  }
}

TEST(SwinUNet, ConvertingKeepsPositionsIntegral) {
  auto network = filled(tiny_unet());
  network->to(torch::kBFloat16);
  const auto key = "input_blocks.1.1.blocks.1.attn.relative_position_index";
  EXPECT_TRUE(torch::equal(state_dict(*network).at(key), relative_position_index(4)));
  network->to(torch::Device(torch::kCPU), torch::kFloat64);
  EXPECT_TRUE(torch::equal(state_dict(*network).at(key), relative_position_index(4)));
}

TEST(SwinUNet, NewNetworksStartAsPublished) {
  const SwinUNet network(tiny_unet());
  const auto weights = state_dict(*network);
  for (const char* key : {"input_blocks.1.0.out_layers.3.weight", "middle_block.2.out_layers.3.bias"}) {
    EXPECT_EQ(weights.at(key).abs().max().item<double>(), 0.0) << key;
  }
  const auto& table = weights.at("input_blocks.1.1.blocks.0.attn.relative_position_bias_table");
  EXPECT_NEAR(table.std().item<double>(), 0.02, 0.006);
}

TEST(SwinUNet, WorksWithoutTheCondition) {
  auto options = tiny_unet();
  options.cond_lq = false;
  auto network = filled(options);
  const auto i = inputs(1, 8, 8);
  EXPECT_EQ(network->forward(i.x, i.t, at::Tensor()).sizes(), i.x.sizes());
}

TEST(NoisePredictor, StartsAsStandardNormalNoise) {
  NoisePredictor network(tiny_unet());
  const auto i = inputs(2, 16, 16);
  const auto noise = network->forward(i.x, i.x, i.lq, i.t);
  EXPECT_EQ(noise.mean.abs().max().item<double>(), 0.0);
  EXPECT_EQ(noise.logvar.abs().max().item<double>(), 0.0);
  EXPECT_EQ(network->options().in_channels, 3) << "options() makes the same network again";
  EXPECT_THROW(network->forward(i.x, i.x.narrow(2, 0, 8), i.lq, i.t), UsageError);
}

TEST(DiagonalGaussian, DivergenceAndLikelihoodByHand) {
  const auto gaussian = DiagonalGaussian::from_parameters(torch::tensor({1.0, 100.0}, torch::kFloat64).view({1, 2, 1, 1}));
  EXPECT_EQ(gaussian.logvar.item<double>(), 20.0);
  const auto unit = DiagonalGaussian::from_parameters(torch::tensor({1.0, 0.0}, torch::kFloat64).view({1, 2, 1, 1}));
  EXPECT_NEAR(unit.kl_to_standard_normal().item<double>(), 0.5, 1e-15);
  EXPECT_NEAR(unit.negative_log_likelihood(torch::full({1, 1, 1, 1}, 3.0, torch::kFloat64)).item<double>(), 0.9189385332046727 + 2.0,
              1e-14);
  EXPECT_NEAR(unit.sample(torch::full({1, 1, 1, 1}, -2.0, torch::kFloat64)).item<double>(), -1.0, 1e-15);
}

TEST(SwinUNet, NormGroupsReachEveryNormalisation) {
  auto options = tiny_unet();
  options.norm_groups = 4;
  options.patch_norm = true;
  auto network = filled(options);
  EXPECT_GT(expect_norm_groups(*network, 4), 10);
  // The modulated normalisation inside the residual blocks uses the same groups: one embedding for all and one for each are one formula.
  const auto i = inputs(2, 16, 16);
  const auto one = network->forward(i.x, torch::tensor({1}), i.lq), each = network->forward(i.x, torch::tensor({1, 1}), i.lq);
  EXPECT_TRUE(close(one, each, 1e-5, 1e-4));
}

}  // namespace
}  // namespace lpnsr::testing
