// The noise predictor against the published network's numbers.
#include <fmt/format.h>

#include "diffusion/noise_predictor.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

NoisePredictor predictor_of(const ReferenceCase& reference) {
  NoisePredictor network(unet_options(reference.description.at("config")));
  fill_synthetic(*network, reference.description.at("weights").at("np").at("salt"));
  network->eval();
  return network;
}

void expect_agreement(const ReferenceCase& reference, const DiagonalGaussian& got, const at::Tensor& eps, const std::string& suffix) {
  const auto expect = [&](const std::string& name, const at::Tensor& tensor) {
    const auto [atol, rtol] = reference.tolerance(name + suffix);
    EXPECT_TRUE(close(tensor, reference.at(name + suffix), atol, rtol)) << name << suffix;
  };
  expect("mean", got.mean);
  expect("logvar", got.logvar);
  expect("sample", got.sample(eps));
}

TEST(NoisePredictor, TinyNetworksAgree) {
  LPNSR_REQUIRE_GOLDENS();
  for (const char* name : {"np_tinyA", "np_tinyB_16x32"}) {
    const auto reference = load_case(fmt::format("diffusion/{}", name));
    auto network = predictor_of(reference);
    const c10::InferenceMode inference;
    const auto got = network->forward(reference.input("z_t"), reference.input("pred_x0"), reference.input("lr"), reference.input("t"));
    expect_agreement(reference, got, reference.input("eps"), "");
    torch::manual_seed(77);
    const auto [atol, rtol] = reference.tolerance("sample");
    EXPECT_TRUE(close(got.sample(torch::randn(got.mean.sizes())), reference.at("sample_seed77"), atol, rtol)) << name;
  }
}

TEST(NoisePredictor, FullSizeAgrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/np_full");
  auto network = predictor_of(reference);
  const c10::InferenceMode inference;
  for (const int64_t t : {1, 3}) {
    const auto got =
        network->forward(reference.input("z_t"), reference.input("pred_x0"), reference.input("lr"), torch::full({1}, t, torch::kInt64));
    expect_agreement(reference, got, reference.input("eps"), fmt::format("_t{}", t));
  }
}

TEST(DiagonalGaussian, Agrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/np_tinyA");
  const auto got = DiagonalGaussian::from_parameters(reference.at("dist/parameters"));
  EXPECT_TRUE(close(got.logvar, reference.at("dist/logvar"), 0.0, 0.0));
  EXPECT_TRUE(close(got.std(), reference.at("dist/std"), 0.0, 1e-6));
  EXPECT_TRUE(close(got.std().square(), reference.at("dist/var"), 0.0, 1e-5));
  EXPECT_TRUE(close(got.kl_to_standard_normal(), reference.at("dist/kl_to_standard_normal"), 1e-5, 1e-5));
  EXPECT_TRUE(close(got.negative_log_likelihood(torch::zeros_like(got.mean)), reference.at("dist/nll_of_zero"), 1e-5, 1e-5));
}

}  // namespace
}  // namespace lpnsr::testing
