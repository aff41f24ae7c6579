#include "core/error.h"
#include "core/state_dict.h"
#include "losses/discriminator.h"
#include "losses/spectral_norm.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::HasSubstr;

TEST(Discriminator, JudgesPatches) {
  Discriminator discriminator(DiscriminatorOptions{.input_nc = 3, .ndf = 4, .n_layers = 3, .norm = "spectral"});
  EXPECT_EQ(discriminator->forward(torch::rand({2, 3, 64, 48})).sizes().vec(), (std::vector<int64_t>{2, 1, 6, 4}));
}

TEST(Discriminator, ImpossibleInputsAreRefused) {
  Discriminator discriminator(DiscriminatorOptions{.input_nc = 3, .ndf = 4, .n_layers = 3, .norm = "spectral"});
  EXPECT_THROW_MESSAGE(discriminator->forward(torch::rand({1, 3, 16, 16})), UsageError, HasSubstr("n_layers = 3"));
  EXPECT_EQ(discriminator->forward(torch::rand({1, 3, 24, 24})).size(2), 1);
  EXPECT_THROW_MESSAGE(discriminator->forward(torch::rand({1, 1, 64, 64})), Error, HasSubstr("[N,3,H,W]"));
  EXPECT_THROW_MESSAGE(parse_gan_objective("hing"), UsageError, HasSubstr("did you mean 'hinge'"));
}

TEST(SpectralNorm, IterationConvergesToTheLargestSingularValue) {
  torch::manual_seed(1);
  SpectralConv layer(3, 8, 4, 2, 1);
  const auto input = torch::rand({1, 3, 8, 8});
  for (int i = 0; i < 300; ++i) layer->forward(input);
  const auto matrix = state_dict(*layer).at("weight_orig").detach().flatten(1);
  EXPECT_NEAR(layer->sigma().item<double>(), torch::linalg_norm(matrix, 2).item<double>(), 1e-4);
}

TEST(SpectralNorm, EvaluationLeavesTheStateAlone) {
  SpectralConv layer(3, 8, 4, 2, 1);
  layer->eval();
  const auto before = state_dict(*layer).at("weight_u").clone();
  layer->forward(torch::rand({1, 3, 8, 8}));
  EXPECT_TRUE(torch::equal(before, state_dict(*layer).at("weight_u")));
  layer->train();
  layer->forward(torch::rand({1, 3, 8, 8}));
  EXPECT_FALSE(torch::equal(before, state_dict(*layer).at("weight_u")));
}

TEST(SpectralNorm, TwoCallsBeforeOneBackward) {
  SpectralConv layer(3, 4, 4, 2, 1);
  const auto loss = layer->forward(torch::rand({1, 3, 8, 8})).sum() + layer->forward(torch::rand({1, 3, 8, 8})).square().sum();
  EXPECT_NO_THROW(loss.backward());
  EXPECT_FALSE(state_dict(*layer).at("weight_u").requires_grad());
}

TEST(SpectralNorm, GradientMatchesFiniteDifferences) {
  torch::manual_seed(2);
  SpectralConv layer(2, 3, 4, 2, 1);
  layer->to(torch::kFloat64);
  for (int i = 0; i < 5; ++i) layer->forward(torch::rand({1, 2, 6, 6}, torch::kFloat64));
  layer->eval();  // u and v stay constants, as the gradient takes them
  const auto input = torch::rand({1, 2, 6, 6}, torch::kFloat64);
  const auto loss = [&] { return layer->forward(input).square().sum(); };
  loss().backward();
  auto weight = state_dict(*layer).at("weight_orig");
  const auto gradient = weight.grad().flatten();
  const torch::NoGradGuard no_grad;
  auto flat = weight.view({-1});
  for (const int64_t i : {0, 17, 40, 95}) {
    const double step = 1e-6, value = flat[i].item<double>();
    flat[i] = value + step;
    const double above = loss().item<double>();
    flat[i] = value - step;
    const double below = loss().item<double>();
    flat[i] = value;
    EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * step), 1e-6 * gradient.abs().max().item<double>()) << i;
  }
}

}  // namespace
}  // namespace lpnsr
