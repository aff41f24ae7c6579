#include "core/error.h"
#include "diffusion/schedule.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ScheduleOptions steps(int64_t count) {
  ScheduleOptions options;
  options.steps = count;
  return options;
}

TEST(Schedule, RisesFromMinimumToEnd) {
  for (const int64_t count : {2, 4, 15, 100}) {
    const auto s = make_schedule(steps(count));
    ASSERT_EQ(s.steps(), count);
    EXPECT_NEAR(s.sqrt_eta.front(), 0.1, 1e-15);  // min(0.2 / 2, 0.2)
    EXPECT_NEAR(s.sqrt_eta.back(), 0.99, 1e-12);
    EXPECT_TRUE(std::is_sorted(s.eta.begin(), s.eta.end(), std::less_equal<>()));
  }
}

TEST(Schedule, SmallKappaDoesNotRaiseTheMinimum) {
  auto options = steps(4);
  options.kappa = 0.5;
  EXPECT_NEAR(make_schedule(options).sqrt_eta.front(), 0.2, 1e-15);
}

// With power 1 the sequence is geometric, which gives numbers that need no program.
TEST(Schedule, PowerOneIsGeometric) {
  auto options = steps(3);
  options.power = 1.0;
  options.min_noise_level = 0.5;
  options.kappa = 2.0;
  options.etas_end = 1.0;
  EXPECT_THAT(make_schedule(options).sqrt_eta, ElementsAre(DoubleNear(0.25, 1e-15), DoubleNear(0.5, 1e-15), DoubleNear(1.0, 1e-15)));
}

TEST(Schedule, PosteriorOfEquations5And6) {
  for (const int64_t count : {2, 4, 15}) {
    const auto s = make_schedule(steps(count));
    double total = 0.0;
    for (size_t t = 0; t < s.eta.size(); ++t) {
      EXPECT_NEAR(s.posterior_coef_xt[t] + s.posterior_coef_x0[t], 1.0, 1e-14);
      EXPECT_NEAR(s.posterior_variance[t], 4.0 * s.posterior_coef_xt[t] * s.alpha[t], 1e-14);
      total += s.alpha[t];
    }
    EXPECT_NEAR(total, s.eta.back(), 1e-14);
    EXPECT_EQ(s.posterior_coef_xt[0], 0.0);
    EXPECT_EQ(s.posterior_coef_x0[0], 1.0);
    EXPECT_EQ(s.posterior_variance[0], 0.0);
    EXPECT_EQ(s.posterior_variance_clipped[0], s.posterior_variance[1]);
    EXPECT_NEAR(std::exp(s.posterior_log_variance_clipped.back()), s.posterior_variance.back(), 1e-14);
  }
}

// q(x_{t-1} | x0) must follow from the posterior applied to q(x_t | x0): mean and variance of one step back along the chain.
TEST(Schedule, PosteriorTakesOneMarginalToTheOneBefore) {
  const auto s = make_schedule(steps(7));
  const double k2 = s.kappa * s.kappa;
  for (size_t t = 1; t < s.eta.size(); ++t) {
    const double share_of_y = s.posterior_coef_xt[t] * s.eta[t];
    const double variance = s.posterior_coef_xt[t] * s.posterior_coef_xt[t] * k2 * s.eta[t] + s.posterior_variance[t];
    EXPECT_NEAR(share_of_y, s.eta[t - 1], 1e-14);
    EXPECT_NEAR(variance, k2 * s.eta[t - 1], 1e-13);
  }
}

TEST(Schedule, RespacedKeepsEtaAndRecomputesThePosterior) {
  auto options = steps(15);
  const auto all = make_schedule(options);
  options.respaced_steps = 4;
  const auto kept = make_schedule(options);
  EXPECT_THAT(kept.timestep, ElementsAre(0, 3, 7, 11));
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(kept.eta[i], all.eta[static_cast<size_t>(kept.timestep[i])]);
  EXPECT_EQ(kept.posterior_coef_xt[2], kept.eta[1] / kept.eta[2]);
}

TEST(Schedule, RefusesWhatCannotBe) {
  EXPECT_THROW_MESSAGE(make_schedule(steps(1)), UsageError, HasSubstr("steps is 1"));
  auto options = steps(4);
  options.kappa = 0.0;
  EXPECT_THROW_MESSAGE(make_schedule(options), UsageError, HasSubstr("kappa"));
  options = steps(4);
  options.etas_end = 0.05;
  EXPECT_THROW_MESSAGE(make_schedule(options), UsageError, AllOf(HasSubstr("etas_end"), HasSubstr("0.1")));
  options = steps(4);
  options.respaced_steps = 5;
  EXPECT_THROW_MESSAGE(make_schedule(options), UsageError, HasSubstr("respaced_steps"));
}

}  // namespace
}  // namespace lpnsr::testing
