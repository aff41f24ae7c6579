// The VQ autoencoder against the published network's numbers.
#include <fmt/format.h>

#include "core/state_dict.h"
#include "diffusion/autoencoder.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

Autoencoder autoencoder_of(const ReferenceCase& reference) {
  Autoencoder network(autoencoder_options(reference.description.at("config")));
  fill_synthetic(*network, reference.description.at("weights").at("vae").at("salt"));
  network->eval();
  return network;
}

// The full size's images are stored thinned.
void expect_close(const ReferenceCase& reference, const std::string& name, const at::Tensor& got) {
  const auto& want = reference.at(name);
  const int64_t step = got.size(2) / want.size(2);
  const auto [atol, rtol] = reference.tolerance(name);
  EXPECT_TRUE(close(got.slice(2, 0, std::nullopt, step).slice(3, 0, std::nullopt, step), want, atol, rtol)) << name;
}

class AutoencoderCase : public ::testing::TestWithParam<std::string> {};

TEST_P(AutoencoderCase, Agrees) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/" + GetParam());
  auto network = autoencoder_of(reference);
  const c10::InferenceMode inference;
  const auto image = reference.input("image"), latent = reference.input("latent");
  expect_close(reference, "encode", network->encode(image));
  const auto quantised = network->quantise(latent);
  const auto differ = quantised.indices.ne(reference.at("indices")).logical_and(reference.at("gap").gt(1e-5));
  EXPECT_FALSE(differ.any().item<bool>()) << "another code is nearest where the distances differ clearly";
  EXPECT_TRUE(close(quantised.latent, reference.at("quantized"), 1e-6, 1e-5));
  EXPECT_TRUE(close(quantised.commitment_loss, reference.at("commitment_loss"), 1e-6, 1e-5));
  expect_close(reference, "decode_not_quantized", network->decode_not_quantised(latent));
  expect_close(reference, "decode_from_indices", network->decode_indices(reference.at("indices")));
  const auto decoded = network->decode(latent);
  const auto channels = decoded.transpose(0, 1).flatten(1).to(torch::kFloat64);
  EXPECT_TRUE(close(channels.mean(1), reference.at("decode/mean"), 1e-4, 1e-4));
  EXPECT_TRUE(close(channels.std(1, /*unbiased=*/true), reference.at("decode/std"), 1e-3, 1e-3));
  expect_close(reference, "decode", decoded);
}

INSTANTIATE_TEST_SUITE_P(Cases, AutoencoderCase, ::testing::Values("vqgan_tiny", "vqgan_tiny_24x40", "vqgan_full"),
                         [](const auto& chosen) { return chosen.param; });

TEST(Autoencoder, TakesSidesThatFourDoesNotDivide) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/vqgan_tiny");
  const auto shape = reference.description.at("config").at("image_30x30").at("shape").get<std::vector<int64_t>>();
  EXPECT_EQ(autoencoder_of(reference)->encode(torch::zeros({1, 3, 30, 30})).sizes(), at::IntArrayRef(shape));
}

TEST(Autoencoder, LoraUpdateAgreesAndLeavesTheWeightAlone) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/vqgan_tiny_lora");
  auto network = autoencoder_of(reference);
  expect_close(reference, "decode_not_quantized", network->decode_not_quantised(reference.input("latent")));
  EXPECT_TRUE(
      torch::equal(state_dict(*network).at("post_quant_conv.conv.weight"), reference.at("post_quant_conv.conv.weight_before_eval")));
}

}  // namespace
}  // namespace lpnsr::testing
