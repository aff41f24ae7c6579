#include "core/state_dict.h"
#include "diffusion/swinir.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "tests/support/upsampler_cases.h"

namespace lpnsr::testing {
namespace {

SwinIR network(const ReferenceCase& golden) {
  SwinIR net(swinir_options(golden.description.at("config")));
  fill_synthetic(*net, golden.description.at("weights").at("swinir").at("salt"));
  net->eval();
  return net;
}

TEST(SwinIRReference, Tiny) {
  LPNSR_REQUIRE_GOLDENS();
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("diffusion/swinir_tiny");
  auto net = network(golden);
  for (const std::string size : {"16x16", "18x22", "12x32"}) {
    const auto [atol, rtol] = golden.tolerance("out_" + size);
    EXPECT_TRUE(close(net(golden.input("x_" + size)), golden.at("out_" + size), atol, rtol)) << size;
  }
}

TEST(SwinIRReference, TinyClassical) {
  LPNSR_REQUIRE_GOLDENS();
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("diffusion/swinir_tiny_classical");
  const auto [atol, rtol] = golden.tolerance("out_16x16");
  EXPECT_TRUE(close(network(golden)(golden.input("x_16x16")), golden.at("out_16x16"), atol, rtol));
}

TEST(SwinIRReference, FullSize) {
  LPNSR_REQUIRE_GOLDENS();
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("diffusion/swinir_full");
  auto net = network(golden);
  int64_t parameters = 0;
  for (const auto& parameter : net->parameters()) parameters += parameter.numel();
  EXPECT_EQ(parameters, golden.description.at("config").at("parameters").get<int64_t>());
  const auto out = net(golden.input("x"));
  const auto [atol, rtol] = golden.tolerance("out_every4");
  EXPECT_TRUE(close(out.slice(2, 0, at::nullopt, 4).slice(3, 0, at::nullopt, 4), golden.at("out_every4"), atol, rtol));
  EXPECT_TRUE(close(out.slice(2, 100, 132).slice(3, 100, 132), golden.at("out_crop"), atol, rtol));
  const auto wide = out.to(torch::kFloat64);
  EXPECT_TRUE(close(wide.mean({0, 2, 3}), golden.at("out/mean"), atol, rtol));
}

}  // namespace
}  // namespace lpnsr::testing
