#include "core/error.h"
#include "core/state_dict.h"
#include "diffusion/autoencoder.h"
#include "tests/support/fixtures.h"
#include "tests/support/norm_groups.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

AutoencoderOptions tiny_autoencoder() {
  AutoencoderOptions o;
  o.n_embed = 50;
  o.ddconfig.ch = 32;
  o.ddconfig.ch_mult = {1, 2};
  o.ddconfig.num_res_blocks = 1;
  o.ddconfig.resolution = 16;
  return o;
}

Autoencoder filled(const AutoencoderOptions& options) {
  Autoencoder network(options);
  fill_synthetic(*network, "unit");
  return network;
}

at::Tensor latent(int64_t batch = 2, int64_t height = 5, int64_t width = 4) {
  return synthetic_tensor("unit", "latent", {batch, 3, height, width}, 1.5);
}

TEST(Autoencoder, FindsTheNearestCode) {
  auto options = tiny_autoencoder();
  options.n_embed = 3000;  // so that the positions below take several chunks of distances
  auto network = filled(options);
  const auto z = latent(2, 40, 40);
  const auto got = network->quantise(z).indices.flatten();
  const auto codes = state_dict(*network).at("quantize.embedding.weight").to(torch::kFloat64);
  const auto points = z.permute({0, 2, 3, 1}).reshape({-1, 3}).to(torch::kFloat64);
  const auto distances = torch::cdist(points, codes);
  const auto found = distances.gather(1, got.unsqueeze(1)).squeeze(1);
  EXPECT_TRUE(close(found, std::get<0>(distances.min(1)), 1e-5, 0.0));
}

TEST(Autoencoder, QuantisingPassesGradientsStraightThrough) {
  auto network = filled(tiny_autoencoder());
  auto z = latent().requires_grad_();
  const auto quantised = network->quantise(z);
  const auto weight = synthetic_tensor("unit", "weight", z.sizes());
  const auto gradient = torch::autograd::grad({(quantised.latent * weight).sum()}, {z}, {}, true)[0];
  EXPECT_TRUE(torch::equal(gradient, weight));
  const auto codes = state_dict(*network).at("quantize.embedding.weight");
  EXPECT_TRUE(
      close(quantised.latent, codes.index_select(0, quantised.indices.flatten()).view({2, 5, 4, 3}).permute({0, 3, 1, 2}), 1e-6, 0.0));
}

// d loss / dz = 2 (z - e) / n and d loss / de = 2 beta (e - z) / n for each position that uses e.
TEST(Autoencoder, CommitmentLossPullsBothSides) {
  auto network = filled(tiny_autoencoder());
  auto z = latent().requires_grad_();
  const auto quantised = network->quantise(z);
  const auto nearest = quantised.latent.detach();
  EXPECT_NEAR(quantised.commitment_loss.item<double>(), 1.25 * (nearest - z).square().mean().item<double>(), 1e-6);
  quantised.commitment_loss.backward();
  const auto n = static_cast<double>(z.numel());
  EXPECT_TRUE(close(z.grad(), 2.0 * (z - nearest) / n, 1e-7, 1e-5));
  const auto pull = (0.25 * 2.0 * (nearest - z.detach()) / n).permute({0, 2, 3, 1}).reshape({-1, 3});
  const auto expected = torch::zeros({50, 3}).index_add(0, quantised.indices.flatten(), pull);
  for (const auto& item : network->named_parameters()) {
    if (item.key() == "quantize.embedding.weight") {
      EXPECT_TRUE(close(item.value().grad(), expected, 1e-7, 1e-5));
    }
  }
}

TEST(Autoencoder, GradientsOfTheDecoderEqualDifferences) {
  auto network = filled(tiny_autoencoder());
  network->to(torch::kFloat64);
  auto z = latent(1, 4, 4).to(torch::kFloat64).requires_grad_();
  const auto weight = synthetic_tensor("unit", "weight", {1, 3, 8, 8}).to(torch::kFloat64);
  const auto loss = [&] { return (network->decode_not_quantised(z) * weight).sum(); };
  const auto gradient = torch::autograd::grad({loss()}, {z})[0];
  const torch::NoGradGuard no_gradients;
  for (int64_t i = 0; i < z.numel(); i += 7) {
    auto element = z.view({-1})[i];
    element.add_(1e-5);
    const double above = loss().item<double>();
    element.sub_(2e-5);
    const double below = loss().item<double>();
    element.add_(1e-5);
    EXPECT_NEAR(gradient.view({-1})[i].item<double>(), (above - below) / 2e-5, 1e-6);
  }
}

TEST(Autoencoder, IndicesDecodeAsTheLatentTheyCameFrom) {
  auto network = filled(tiny_autoencoder());
  const torch::NoGradGuard no_gradients;
  EXPECT_TRUE(close(network->decode_indices(network->quantise(latent()).indices), network->decode(latent()), 1e-4, 1e-4));
  EXPECT_THROW_MESSAGE(network->decode_indices(torch::full({1, 2, 2}, 50)), UsageError, HasSubstr("0..49"));
  EXPECT_THROW(network->decode_indices(torch::zeros({2, 2})), UsageError);
}

TEST(Autoencoder, AttentionIsWhereTheTrainingResolutionPutsIt) {
  auto options = tiny_autoencoder();
  options.ddconfig.attn_resolutions = {8};
  const auto weights = state_dict(*Autoencoder(options));
  EXPECT_TRUE(weights.contains("encoder.down.1.attn.0.q.weight"));
  EXPECT_TRUE(weights.contains("decoder.up.1.attn.1.q.weight"));
  EXPECT_FALSE(weights.contains("encoder.down.0.attn.0.q.weight"));
  EXPECT_EQ(filled(options)->decode_not_quantised(latent()).sizes(), at::IntArrayRef({2, 3, 10, 8}));
}

TEST(Autoencoder, NewLoraUpdateChangesNothing) {
  auto options = tiny_autoencoder();
  options.lora_tune_decoder = true;
  auto with = filled(options);
  auto without = filled(tiny_autoencoder());
  {
    const torch::NoGradGuard no_gradients;
    state_dict(*with).at("post_quant_conv.lora_B").zero_();
    const auto target = state_dict(*without);
    const auto source = state_dict(*with);
    target.at("post_quant_conv.weight").copy_(source.at("post_quant_conv.conv.weight"));
    target.at("post_quant_conv.bias").copy_(source.at("post_quant_conv.conv.bias"));
  }
  EXPECT_TRUE(torch::equal(with->decode_not_quantised(latent()), without->decode_not_quantised(latent())));
  EXPECT_EQ(state_dict(*Autoencoder(options)).at("post_quant_conv.lora_B").abs().max().item<double>(), 0.0);
}

TEST(Autoencoder, NewCodesAreUniform) {
  const auto options = tiny_autoencoder();
  const auto codes = state_dict(*Autoencoder(options)).at("quantize.embedding.weight");
  EXPECT_LE(codes.abs().max().item<double>(), 1.0 / 50.0);
  EXPECT_GT(codes.abs().max().item<double>(), 0.9 / 50.0);
}

TEST(Autoencoder, NormGroupsReachEveryNormalisation) {
  auto options = tiny_autoencoder();
  options.ddconfig.ch = 20;
  options.ddconfig.norm_groups = 5;
  Autoencoder network(options);
  // residual blocks: encoder 2, middles 2 each, decoder 4; attentions; outputs
  EXPECT_EQ(expect_norm_groups(*network, 5), 2 * (2 + 2 + 2 * 2 + 2) + 2 + 2);
  EXPECT_EQ(network->encode(torch::zeros({1, 3, 8, 8})).sizes(), (std::vector<int64_t>{1, 3, 4, 4}));
}

TEST(Autoencoder, RefusesWhatItCannotTake) {
  auto network = filled(tiny_autoencoder());
  EXPECT_EQ(network->options().scale(), 2);
  EXPECT_THROW_MESSAGE(network->encode(torch::zeros({1, 4, 8, 8})), UsageError, HasSubstr("[1,4,8,8]"));
  EXPECT_THROW(network->encode(torch::zeros({1, 3, 1, 8})), UsageError);
  EXPECT_THROW(network->decode(torch::zeros({3, 8, 8})), UsageError);
  auto options = tiny_autoencoder();
  options.ddconfig.double_z = true;
  EXPECT_THROW_MESSAGE(Autoencoder{options}, UsageError, HasSubstr("double_z"));
  options = tiny_autoencoder();
  options.ddconfig.ch = 20;
  EXPECT_THROW_MESSAGE(Autoencoder{options}, UsageError, HasSubstr("multiple of 32"));
}

}  // namespace
}  // namespace lpnsr::testing
