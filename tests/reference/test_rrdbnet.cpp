#include "diffusion/rrdbnet.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "tests/support/upsampler_cases.h"

namespace lpnsr::testing {
namespace {

at::Tensor run(const ReferenceCase& golden) {
  const torch::NoGradGuard no_grad;
  RRDBNet net(rrdbnet_options(golden.description.at("config")));
  fill_synthetic(*net, golden.description.at("weights").at("rrdbnet").at("salt"));
  net->eval();
  return net(golden.input("x"));
}

TEST(RRDBNetReference, TinyTimesFour) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/rrdbnet_tiny");
  const auto [atol, rtol] = golden.tolerance("out");
  EXPECT_TRUE(close(run(golden), golden.at("out"), atol, rtol));
}

TEST(RRDBNetReference, TinyTimesTwo) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/rrdbnet_tiny_x2");
  const auto [atol, rtol] = golden.tolerance("out");
  EXPECT_TRUE(close(run(golden), golden.at("out"), atol, rtol));
}

TEST(RRDBNetReference, FullSize) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/rrdbnet_full");
  const auto out = run(golden);
  const auto [atol, rtol] = golden.tolerance("out_every2");
  EXPECT_TRUE(close(out.slice(2, 0, at::nullopt, 2).slice(3, 0, at::nullopt, 2), golden.at("out_every2"), atol, rtol));
  EXPECT_TRUE(close(out.to(torch::kFloat64).mean({0, 2, 3}), golden.at("out/mean"), atol, rtol));
}

}  // namespace
}  // namespace lpnsr::testing
