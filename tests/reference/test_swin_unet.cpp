// The denoiser against the published network's numbers.
#include <fmt/format.h>

#include "core/error.h"
#include "core/state_dict.h"
#include "diffusion/swin_block.h"
#include "diffusion/swin_unet.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

SwinUNet denoiser_of(const ReferenceCase& reference) {
  SwinUNet network(unet_options(reference.description.at("config")));
  fill_synthetic(*network, reference.description.at("weights").at("unet").at("salt"));
  network->eval();
  return network;
}

class TinyDenoiser : public ::testing::TestWithParam<std::string> {};

TEST_P(TinyDenoiser, Agrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/" + GetParam());
  auto network = denoiser_of(reference);
  const auto x = reference.input("x"), lq = reference.input("lq"), t = reference.input("t");
  const auto [atol, rtol] = reference.tolerance("out");
  const auto with_gradients = network->forward(x, t, lq);
  EXPECT_TRUE(close(with_gradients, reference.at("out"), atol, rtol));
  const c10::InferenceMode inference;
  EXPECT_TRUE(close(network->forward(x, t, lq), reference.at("out"), atol, rtol)) << "in inference mode";
  EXPECT_TRUE(close(network->forward(x, t, lq), reference.at("out"), atol, rtol)) << "with what the first call has cached";
}

TEST_P(TinyDenoiser, AgreesInFloat64) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/" + GetParam());
  auto network = denoiser_of(reference);
  network->to(torch::kFloat64);
  const auto wide = [&](const std::string& name) { return reference.input(name).to(torch::kFloat64); };
  const auto [atol, rtol] = reference.tolerance("out");
  EXPECT_TRUE(close(network->forward(wide("x"), reference.input("t"), wide("lq")), reference.at("out"), atol, rtol));
}

INSTANTIATE_TEST_SUITE_P(Cases, TinyDenoiser,
                         ::testing::Values("unet_tinyA", "unet_tinyA_16x40", "unet_tinyA_24x16", "unet_tinyB", "unet_tinyB_32x16",
                                           "unet_tinyC", "unet_tinyD"),
                         [](const auto& chosen) { return chosen.param; });

TEST(Denoiser, HasThePublishedMasksAndPositions) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/unet_tinyA");
  EXPECT_TRUE(torch::equal(relative_position_index(4), reference.at("relative_position_index")));
  EXPECT_TRUE(torch::equal(shifted_window_mask(4, 4, 4, 2), reference.at("attn_mask_used/16x16")));
  EXPECT_TRUE(torch::equal(shifted_window_mask(2, 4, 4, 2), reference.at("attn_mask_used/8x16")));
  const auto network = denoiser_of(reference);
  EXPECT_TRUE(torch::equal(state_dict(*network).at("input_blocks.1.1.blocks.1.attn_mask"), reference.at("attn_mask_buffer/16x16")));
}

TEST(Denoiser, TakesAndRefusesTheSizesThatThePublishedOneDoes) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/unet_tinyA");
  auto network = denoiser_of(reference);
  const c10::InferenceMode inference;
  for (const auto& [size, result] : reference.description.at("config").at("sizes").items()) {
    const auto cross = size.find('x');
    const auto x = torch::zeros({1, 3, std::stoll(size.substr(0, cross)), std::stoll(size.substr(cross + 1))});
    const auto t = torch::zeros({1}, torch::kInt64);
    if (result.at("result") == "ok") {
      EXPECT_EQ(network->forward(x, t, x).sizes(), x.sizes()) << size;
    } else {
      EXPECT_THROW(network->forward(x, t, x), UsageError) << size;
    }
  }
}

TEST(Denoiser, FullSizeAgrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/unet_full");
  auto network = denoiser_of(reference);
  const auto x = reference.input("x"), lq = reference.input("lq");
  const c10::InferenceMode inference;
  for (int64_t t = 0; t < 4; ++t) {
    const auto name = fmt::format("out_t{}", t);
    const auto [atol, rtol] = reference.tolerance(name);
    EXPECT_TRUE(close(network->forward(x, torch::full({1}, t, torch::kInt64), lq), reference.at(name), atol, rtol)) << name;
  }
}

}  // namespace
}  // namespace lpnsr::testing
