// The schedule's tables, the process's formulas and the timestep embedding against the published code's numbers.
#include <fmt/format.h>

#include "diffusion/process.h"
#include "diffusion/schedule.h"
#include "diffusion/swin_unet.h"
#include "tests/support/reference.h"

namespace lpnsr::testing {
namespace {

const std::vector<std::string> kSchedules = {"lpnsr_T4", "resshift_T15", "T2", "T3", "T5", "kappa_half_T4"};

ScheduleOptions options_of(const nlohmann::json& config) {
  ScheduleOptions options;
  options.steps = config.at("T");
  options.kappa = config.at("kappa");
  options.power = config.at("power");
  options.min_noise_level = config.at("min_noise_level");
  options.etas_end = config.at("etas_end");
  return options;
}

at::Tensor table(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }

class Schedule : public ::testing::TestWithParam<std::string> {};

TEST_P(Schedule, TablesAgree) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/schedule");
  const auto& name = GetParam();
  const auto s = make_schedule(options_of(reference.description.at("config").at(name)));
  const auto [atol, rtol] = reference.tolerance("float64 tables");
  const std::vector<std::pair<std::string, std::vector<double>>> tables = {
      {"sqrt_etas", s.sqrt_eta},
      {"etas", s.eta},
      {"etas_prev", s.eta_prev},
      {"alpha", s.alpha},
      {"posterior_variance", s.posterior_variance},
      {"posterior_variance_clipped", s.posterior_variance_clipped},
      {"posterior_log_variance_clipped", s.posterior_log_variance_clipped},
      {"posterior_mean_coef1", s.posterior_coef_xt},
      {"posterior_mean_coef2", s.posterior_coef_x0},
  };
  for (const auto& [key, values] : tables) {
    EXPECT_TRUE(close(table(values), reference.at(name + "/" + key), atol, rtol)) << key;
  }
}

TEST_P(Schedule, ProcessAgrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/schedule");
  const auto& name = GetParam();
  const ResidualShift process(make_schedule(options_of(reference.description.at("config").at(name))));
  const auto input = [&](const std::string& key) { return reference.input(name + "/" + key); };
  const auto x0 = input("x0"), y = input("y"), x_t = input("xt"), noise = input("noise");
  const auto& t = reference.at(name + "/t");
  const int64_t last = process.steps() - 1;
  const auto expect = [&](const std::string& key, const at::Tensor& got, const std::string& group) {
    const auto [atol, rtol] = reference.tolerance(name + "/" + group);
    EXPECT_TRUE(close(got, reference.at(name + "/" + key), atol, rtol)) << key;
  };
  expect("q_sample", process.q_sample(x0, y, t, noise), "q_sample");
  expect("posterior_mean", process.posterior_mean(x_t, x0, t), "posterior_mean");
  expect("posterior_mean_t0", process.posterior_mean(x_t, x0, 0), "posterior_mean");
  expect("scale_input", process.scale_input(x_t, t), "scale_input");
  expect("prior_sample", process.prior_sample(y, noise, last), "prior_sample");
  expect("eps_from_xstart", process.eps_from_xstart(x_t, x0, y, t), "eps_from_xstart");
  const auto [atol, rtol] = reference.tolerance("optimal_noise");
  const auto wide = [](const at::Tensor& tensor) { return tensor.to(torch::kFloat64); };
  for (int64_t k = 1; k <= last; ++k) {
    const auto mean = process.posterior_mean(wide(x_t), wide(noise), k);
    EXPECT_TRUE(
        close(process.optimal_noise(wide(x0), wide(y), mean, k), reference.at(fmt::format("{}/optimal_noise_t{}", name, k)), atol, rtol))
        << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Named, Schedule, ::testing::ValuesIn(kSchedules), [](const auto& chosen) { return chosen.param; });

TEST(RespacedSchedule, KeepsTheStepsThatThePublishedCodeKeeps) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/schedule");
  const auto [atol, rtol] = reference.tolerance("float64 tables");
  for (const auto& [steps, kept] : {std::pair{15, 5}, std::pair{15, 4}, std::pair{10, 3}, std::pair{4, 2}}) {
    ScheduleOptions options;
    options.min_noise_level = 0.04;
    options.steps = steps;
    options.respaced_steps = kept;
    const auto s = make_schedule(options);
    const auto name = fmt::format("respaced_{}_to_{}/", steps, kept);
    EXPECT_TRUE(torch::equal(torch::tensor(s.timestep), reference.at(name + "timestep_map"))) << name;
    EXPECT_TRUE(close(table(s.eta), reference.at(name + "etas"), atol, rtol)) << name;
    EXPECT_TRUE(close(table(s.posterior_coef_xt), reference.at(name + "posterior_mean_coef1"), atol, rtol)) << name;
    EXPECT_TRUE(close(table(s.posterior_coef_x0), reference.at(name + "posterior_mean_coef2"), atol, rtol)) << name;
    EXPECT_TRUE(close(table(s.posterior_log_variance_clipped), reference.at(name + "posterior_log_variance_clipped"), atol, rtol)) << name;
  }
}

TEST(TimestepEmbedding, Agrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/schedule");
  const auto t = torch::tensor({0, 1, 2, 3, 14, 999}, torch::kInt64);
  for (const int64_t dim : {32, 33, 160}) {
    const auto got = timestep_embedding(t, dim), want = reference.at(fmt::format("timestep_embedding/dim{}", dim));
    EXPECT_TRUE(close(got.narrow(0, 0, 5), want.narrow(0, 0, 5), 1e-6, 0.0)) << dim;
    EXPECT_TRUE(close(got[5], want[5], 1e-4, 0.0)) << dim;  // angles of 999 have that rounding in float32
  }
}

}  // namespace
}  // namespace lpnsr::testing
