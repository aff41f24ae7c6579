#include "core/error.h"
#include "core/random.h"
#include "diffusion/sampler.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ResidualShift four_steps() { return ResidualShift(make_schedule(ScheduleOptions{})); }

class SamplerTest : public ::testing::Test {
 protected:
  at::Tensor sample(const SamplerOptions& options, const std::function<void(const ChainState&)>& observe = {}, bool with_predictor = true) {
    auto generator = make_generator(5);
    draws_ = 0;
    const DrawNormal draw = [&](at::IntArrayRef shape) {
      ++draws_;
      return torch::randn(shape, generator, at::TensorOptions(torch::kFloat32));
    };
    return Sampler(four_steps(), denoiser_, with_predictor ? predictor_ : NoisePredictor(nullptr), options).sample(inputs_, draw, observe);
  }

  torch::NoGradGuard no_grad_;
  SwinUNet denoiser_ = small_network<SwinUNet>(small_denoiser(), "unet");
  NoisePredictor predictor_ = small_network<NoisePredictor>(small_denoiser(), "np");
  SamplerInputs inputs_{synthetic_tensor("t", "lq", {1, 3, 16, 16}), synthetic_tensor("t", "y0", {1, 3, 16, 16}),
                        synthetic_tensor("t", "x0", {1, 3, 16, 16})};
  int draws_ = 0;
};

TEST_F(SamplerTest, OneStepNeedsNoPredictor) {
  SamplerOptions options;
  options.steps = 1;
  const auto without = sample(options, {}, false);
  EXPECT_EQ(draws_, 2);
  options.noise = "random";
  EXPECT_TRUE(torch::equal(without, sample(options, {}, false)));
}

// Algorithm 1 trains through this chain.
TEST_F(SamplerTest, GradientsReachThePredictorWhereTheyAreWanted) {
  EXPECT_FALSE(sample(SamplerOptions{}).requires_grad());
  const torch::AutoGradMode with_gradients(true);
  sample(SamplerOptions{}).sum().backward();
  for (const auto& parameter : predictor_->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
  }
}

TEST_F(SamplerTest, PassesThroughTheNetworksAreCounted) {
  const auto counted = [this](const SamplerOptions& options) {
    int64_t states = 0;
    sample(options, [&states](const ChainState& /*state*/) { ++states; });
    EXPECT_EQ(network_passes(options, 4).denoiser, states);
    return std::vector{network_passes(options, 4).denoiser, network_passes(options, 4).predictor};
  };
  SamplerOptions options;
  EXPECT_THAT(counted(options), ElementsAre(4, 3));
  options.predictor_off = {3};
  EXPECT_THAT(counted(options), ElementsAre(4, 2));
  options.steps = 2;
  EXPECT_THAT(counted(options), ElementsAre(2, 1));
  options.noise = "random";
  EXPECT_THAT(counted(options), ElementsAre(2, 0));
  SamplerOptions one_step;
  one_step.method = "one_step";
  EXPECT_THAT(counted(one_step), ElementsAre(1, 0));
  one_step.method = "deterministic";
  EXPECT_THAT(counted(one_step), ElementsAre(4, 0));
}

TEST_F(SamplerTest, MissingPredictorIsRefused) {
  SamplerOptions options;
  EXPECT_THROW_MESSAGE(sample(options, {}, false), UsageError, HasSubstr("no noise predictor"));
  options.predictor_off = {4, 3, 2};
  EXPECT_NO_THROW(sample(options, {}, false));
}

TEST_F(SamplerTest, PredictorOffEverywhereIsRandomNoise) {
  SamplerOptions off, random;
  off.predictor_off = {2, 3, 4};
  random.noise = "random";
  EXPECT_TRUE(torch::equal(sample(off), sample(random)));
  EXPECT_EQ(draws_, 5);
}

TEST_F(SamplerTest, InputsLeftOutAreZerosToThePredictor) {
  SamplerOptions options;
  options.sample_noise = false;
  options.predictor_inputs = {"x_t", "lq"};
  int seen = 0;
  sample(options, [&](const ChainState& state) {
    if (state.index == 0) return;
    const auto t = torch::full({1}, state.index, torch::kInt64);
    const auto expected = predictor_.ptr()->forward(state.x_t, torch::zeros_like(state.pred_x0), inputs_.lq, t).mean;
    EXPECT_TRUE(torch::equal(state.noise, expected));
    ++seen;
  });
  EXPECT_EQ(seen, 3);
  options.predictor_inputs = {"x_t", "x_0"};
  EXPECT_THROW_MESSAGE(sample(options), UsageError, AllOf(HasSubstr("x_0"), HasSubstr("x0")));
}

TEST_F(SamplerTest, OptimalNoisePutsEachStateOnTheMarginalsMean) {
  const auto schedule = make_schedule(ScheduleOptions{});
  for (const std::string noise : {"optimal", "approximate"}) {
    SamplerOptions options;
    options.noise = noise;
    const auto& x0 = noise == "optimal" ? inputs_.reference : inputs_.y0;
    int seen = 0;
    sample(options, [&](const ChainState& state) {
      if (state.index == 3) return;
      const double eta = schedule.eta[static_cast<size_t>(state.index)];
      EXPECT_TRUE(torch::allclose(state.x_t, (1 - eta) * x0 + eta * inputs_.y0, 0, 1e-4)) << noise << " " << state.index;
      ++seen;
    });
    EXPECT_EQ(seen, 3);
  }
}

TEST_F(SamplerTest, OptimalNoiseNeedsTheReference) {
  SamplerOptions options;
  options.noise = "optimal";
  inputs_.reference = at::Tensor();
  EXPECT_THROW_MESSAGE(sample(options), UsageError, HasSubstr("reference is needed"));
}

TEST_F(SamplerTest, FewerStepsStartLaterInTheSameChain) {
  const auto schedule = make_schedule(ScheduleOptions{});
  SamplerOptions options;
  options.start_step = 2;
  std::vector<int64_t> indices;
  at::Tensor start;
  const auto result = sample(options, [&](const ChainState& state) {
    if (indices.empty()) start = state.x_t;
    indices.push_back(state.index);
  });
  EXPECT_THAT(indices, ElementsAre(1, 0));
  auto generator = make_generator(5);
  const auto z = torch::randn({1, 3, 16, 16}, generator, at::TensorOptions(torch::kFloat32));
  EXPECT_TRUE(torch::allclose(start, inputs_.y0 + 2.0 * schedule.sqrt_eta[1] * z, 0, 1e-6));
  options.start_step = 0;
  options.steps = 2;
  EXPECT_TRUE(torch::equal(result, sample(options)));
}

TEST_F(SamplerTest, MeanIsDeterministicGivenTheStart) {
  SamplerOptions options;
  options.sample_noise = false;
  std::vector<at::Tensor> noises;
  const auto mean = sample(options, [&](const ChainState& state) { noises.push_back(state.noise); });
  EXPECT_FALSE(torch::equal(mean, sample(SamplerOptions{})));
  int64_t step = 0;
  sample(options, [&](const ChainState& state) {
    if (state.index == 0) return;
    const auto t = torch::full({1}, state.index, torch::kInt64);
    EXPECT_TRUE(torch::equal(state.noise, predictor_(state.x_t, state.pred_x0, inputs_.lq, t).mean)) << step++;
  });
}

TEST(FirstStep, RefusesWhatDoesNotFitTheChain) {
  SamplerOptions options;
  EXPECT_EQ(first_step(options, 15), 15);
  options.steps = 5;
  EXPECT_THROW_MESSAGE(first_step(options, 4), UsageError, AllOf(HasSubstr("sampling.steps is 5"), HasSubstr("1 to 4")));
  options.steps = 2;
  options.start_step = 4;
  EXPECT_THROW_MESSAGE(first_step(options, 4), UsageError, HasSubstr("takes 4 steps"));
  options = {};
  options.predictor_off = {1};
  EXPECT_THROW_MESSAGE(first_step(options, 4), UsageError, HasSubstr("adds no noise"));
  options = {};
  options.noise = "optimum";
  EXPECT_THROW_MESSAGE(first_step(options, 4), UsageError, HasSubstr("did you mean 'optimal'?"));
}

}  // namespace
}  // namespace lpnsr::testing
