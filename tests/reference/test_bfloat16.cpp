// Full-size networks as `--precision bf16` serves them, against the published float32 numbers. The tolerance is ours: bfloat16 carries 8
// bits, each layer rounds, and what is asked is the error of the whole, sqrt(mean (got - want)^2) over the deviation of want. The limits
// lie a tenth above what LibTorch's own bfloat16 operators reach (LPNSR_KERNELS=off), so that no kernel may cost more than the type does.
#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"
#include "diffusion/system.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "tests/support/upsampler_cases.h"

namespace lpnsr::testing {
namespace {

template <class Network>
Network served(Network network, const ReferenceCase& reference, const std::string& tag) {
  fill_synthetic(*network, reference.description.at("weights").at(tag).at("salt"));
  freeze(*network, torch::kBFloat16);
  return network;
}

double error(const at::Tensor& got, const at::Tensor& want) {
  const auto wide = want.to(torch::kFloat64);
  return ((got.to(torch::kFloat64) - wide).norm() / (wide - wide.mean()).norm()).item<double>();
}

// The full size's images are stored thinned.
at::Tensor every(const at::Tensor& image, int64_t step) { return image.slice(2, 0, at::nullopt, step).slice(3, 0, at::nullopt, step); }

TEST(Bfloat16, Denoiser) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/unet_full");
  auto network = served(SwinUNet(unet_options(reference.description.at("config"))), reference, "unet");
  const c10::InferenceMode inference;
  for (int64_t t = 0; t < 4; ++t) {
    const auto got = network->forward(reference.input("x"), torch::full({1}, t, torch::kInt64), reference.input("lq"));
    EXPECT_LT(error(got, reference.at("out_t" + std::to_string(t))), 0.0193) << t;
  }
}

TEST(Bfloat16, NoisePredictor) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/np_full");
  auto network = served(NoisePredictor(unet_options(reference.description.at("config"))), reference, "np");
  const c10::InferenceMode inference;
  const auto got = network->forward(reference.input("z_t"), reference.input("pred_x0"), reference.input("lr"), torch::full({1}, 3));
  EXPECT_LT(error(got.mean, reference.at("mean_t3")), 0.0192);
}

TEST(Bfloat16, Autoencoder) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/vqgan_full");
  auto network = served(Autoencoder(autoencoder_options(reference.description.at("config"))), reference, "vae");
  const c10::InferenceMode inference;
  EXPECT_LT(error(network->encode(reference.input("image")), reference.at("encode")), 0.0155);
  const auto& want = reference.at("decode_not_quantized");
  const auto image = network->decode_not_quantised(reference.input("latent"));
  EXPECT_LT(error(every(image, image.size(2) / want.size(2)), want), 0.0203);
}

TEST(Bfloat16, SwinIR) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/swinir_full");
  auto network = served(SwinIR(swinir_options(reference.description.at("config"))), reference, "swinir");
  const c10::InferenceMode inference;
  EXPECT_LT(error(every(network->forward(reference.input("x").to(torch::kBFloat16)), 4), reference.at("out_every4")), 0.0179);
}

}  // namespace
}  // namespace lpnsr::testing
