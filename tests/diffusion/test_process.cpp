#include "core/error.h"
#include "diffusion/process.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

at::Tensor latent(const std::string& name) { return synthetic_tensor("process", name, {2, 3, 4, 5}, 1.5).to(torch::kFloat64); }

class Process : public ::testing::Test {
 protected:
  ResidualShift process_{make_schedule({})};
  at::Tensor x0_ = latent("x0"), y_ = latent("y"), noise_ = latent("noise");
};

TEST_F(Process, ForwardEndsNearTheLowResolutionImage) {
  const auto t = torch::tensor({0, 3});
  const auto x = process_.q_sample(x0_, y_, t, torch::zeros_like(x0_));
  const auto& eta = process_.schedule().eta;
  EXPECT_TRUE(close(x[0], (1.0 - eta[0]) * x0_[0] + eta[0] * y_[0], 1e-14, 0.0));
  EXPECT_TRUE(close(x[1], (1.0 - eta[3]) * x0_[1] + eta[3] * y_[1], 1e-14, 0.0));
}

TEST_F(Process, NoiseIsRecoveredFromTheState) {
  const auto t = torch::tensor({1, 2});
  EXPECT_TRUE(close(process_.eps_from_xstart(process_.q_sample(x0_, y_, t, noise_), x0_, y_, t), noise_, 1e-13, 0.0));
}

TEST_F(Process, StartIsTheMarginalWithoutTheResidual) {
  const auto t = torch::full({2}, 3, torch::kInt64);
  EXPECT_TRUE(close(process_.prior_sample(y_, noise_, 3), process_.q_sample(y_, y_, t, noise_), 1e-14, 0.0));
}

// Eq. 9: with the optimal noise the step lands on the mean of q(x_{t-1} | x0, y), whatever the denoiser said.
TEST_F(Process, OptimalNoisePutsTheNextStateOnTheMarginalMean) {
  const auto x_t = latent("x_t"), guess = latent("guess");
  for (int64_t t = 1; t < process_.steps(); ++t) {
    const auto mean = process_.posterior_mean(x_t, guess, t);
    const auto next = mean + process_.posterior_deviation(t) * process_.optimal_noise(x0_, y_, mean, t);
    const auto before = torch::full({2}, t - 1, torch::kInt64);
    EXPECT_TRUE(close(next, process_.q_sample(x0_, y_, before, torch::zeros_like(x0_)), 1e-13, 0.0)) << t;
  }
}

TEST_F(Process, TensorAndSingleIndexAgree) {
  const auto x_t = latent("x_t");
  for (int64_t t = 0; t < process_.steps(); ++t) {
    for (const auto type : {torch::kFloat64, torch::kFloat32}) {
      const auto x = x_t.to(type), start = x0_.to(type);
      const auto all = torch::full({2}, t, torch::kInt64);
      EXPECT_TRUE(close(process_.posterior_mean(x, start, all), process_.posterior_mean(x, start, t), 1e-7, 1e-6));
      EXPECT_TRUE(close(process_.scale_input(x, all), process_.scale_input(x, t), 1e-7, 1e-6));
      EXPECT_EQ(process_.scale_input(x, all).scalar_type(), type);
      EXPECT_EQ(process_.posterior_mean(x, start, t).scalar_type(), type);
    }
  }
}

// Images of unit variance give the denoiser inputs of unit variance.
TEST_F(Process, ScaledInputHasUnitVariance) {
  torch::manual_seed(3);
  const auto x0 = torch::randn({1, 1, 400, 400}), noise = torch::randn({1, 1, 400, 400});
  for (int64_t t = 0; t < process_.steps(); ++t) {
    const auto x_t = process_.q_sample(x0, x0, torch::full({1}, t, torch::kInt64), noise);
    EXPECT_NEAR(process_.scale_input(x_t, t).std().item<double>(), 1.0, 0.02);
  }
}

TEST_F(Process, LastStepIsTheDenoisersOutput) {
  EXPECT_TRUE(torch::equal(process_.posterior_mean(latent("x_t"), x0_, 0), x0_));
  EXPECT_EQ(process_.posterior_deviation(0), 0.0);
}

TEST_F(Process, RefusesStepsOutsideTheSchedule) {
  EXPECT_THROW(process_.prior_sample(y_, noise_, 4), UsageError);
  EXPECT_THROW(process_.posterior_deviation(-1), UsageError);
  EXPECT_THROW_MESSAGE(process_.optimal_noise(x0_, y_, x0_, 0), UsageError, ::testing::HasSubstr("1..3"));
}

}  // namespace
}  // namespace lpnsr::testing
