// Algorithm 2 from the LR bytes to the restored picture, state by state, against the published inference script and ResShift's sampler.
#include <fmt/format.h>

#include "core/image.h"
#include "core/random.h"
#include "diffusion/restorer.h"
#include "tests/support/network_cases.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"
#include "tests/support/upsampler_cases.h"

namespace lpnsr::testing {
namespace {

template <class Network>
Network filled(Network network, const ReferenceCase& golden, const std::string& tag) {
  fill_synthetic(*network, golden.description.at("weights").at(tag).at("salt"));
  network->eval();
  return network;
}

// Where two codes are nearly as close the reference itself flips: only places with a margin count.
bool same_codes(const at::Tensor& indices, const ReferenceCase& golden) {
  const auto differs = (indices != golden.at("sr_indices").to(torch::kInt64)).logical_and(golden.at("sr_gap") > 1e-4);
  return !differs.any().item<bool>();
}

struct System {
  explicit System(const ReferenceCase& golden)
      : config(golden.description.at("config")),
        denoiser(filled(SwinUNet(unet_options(config.at("unet"))), golden, "unet")),
        autoencoder(filled(Autoencoder(autoencoder_options(config.at("vqgan"))), golden, "vae")),
        pre_upsampler(bicubic_pre_upsampler(4)) {
    if (golden.description.at("weights").contains("np")) predictor = filled(NoisePredictor(unet_options(config.at("unet"))), golden, "np");
    if (config.contains("swinir") && !config.at("swinir").is_null()) {
      const auto swinir = filled(SwinIR(swinir_options(config.at("swinir"))), golden, "swinir");
      pre_upsampler = [swinir](const at::Tensor& image) { return swinir.ptr()->forward(image); };
    }
  }
  nlohmann::json config;
  SwinUNet denoiser;
  NoisePredictor predictor{nullptr};
  Autoencoder autoencoder;
  PreUpsampler pre_upsampler;
};

// The draws of a case: stored synthetic ones, or those of the generator it was seeded with, which must equal the stored record.
DrawNormal draws_of(const ReferenceCase& golden, at::Generator& generator, int& count) {
  return [&golden, &generator, &count](at::IntArrayRef shape) {
    const std::string name = fmt::format("draw/{}", count++);
    if (golden.description.at("inputs").contains(name)) return golden.input(name);
    const auto drawn = torch::randn(shape, generator, at::TensorOptions(torch::kFloat32));
    if (golden.tensors.contains(name)) {
      EXPECT_TRUE(close(drawn, golden.at(name), 1e-6, 1e-6)) << name;
    }
    return drawn;
  };
}

void check_pipeline(const std::string& name, const std::function<void(SamplerOptions&)>& adapt = {}) {
  SCOPED_TRACE(name);
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("diffusion/" + name);
  System system(golden);
  SamplerOptions options;
  options.steps = system.config.at("num_steps");
  if (!system.config.at("use_noise_predictor").get<bool>()) options.noise = "random";
  for (const int64_t index : system.config.at("noise_predictor_off_at_index")) options.predictor_off.push_back(index + 1);
  if (adapt) adapt(options);

  const auto lr = picture_of_bytes(golden.at("lr_u8")).unsqueeze(0);
  const auto upsampled = system.pre_upsampler(lr) * 2 - 1;
  const auto [latent_atol, latent_rtol] = golden.tolerance("lr_latent");
  EXPECT_TRUE(close(upsampled, golden.at("lr_upsampled"), latent_atol, latent_rtol));
  SamplerInputs inputs;
  inputs.lq = lr * 2 - 1;
  inputs.y0 = system.autoencoder->encode(upsampled);
  EXPECT_TRUE(close(inputs.y0, golden.at("lr_latent"), latent_atol, latent_rtol));
  if (golden.tensors.contains("hr_latent")) {
    inputs.reference = system.autoencoder->encode(picture_of_bytes(golden.at("hr_u8")).unsqueeze(0) * 2 - 1);
    EXPECT_TRUE(close(inputs.reference, golden.at("hr_latent"), latent_atol, latent_rtol));
  }

  const auto& seed = system.config.at("seed");
  auto generator = make_generator(seed.is_null() ? 0 : seed.get<uint64_t>());
  int draws = 0;
  int64_t expected_index = options.steps;
  const auto [atol, rtol] = golden.tolerance("x_t");
  const Sampler sampler(ResidualShift(make_schedule(ScheduleOptions{})), system.denoiser, system.predictor, options);
  const auto x0 = sampler.sample(inputs, draws_of(golden, generator, draws), [&, atol = atol, rtol = rtol](const ChainState& state) {
    EXPECT_EQ(state.index, --expected_index);
    const std::string step = fmt::format("/{}", state.index);
    EXPECT_TRUE(close(state.x_t, golden.at("x_t" + step), atol, rtol)) << step;
    EXPECT_TRUE(close(state.x_t_scaled, golden.at("x_t_scaled" + step), atol, rtol)) << step;
    EXPECT_TRUE(close(state.pred_x0, golden.at("pred_x0" + step), atol, rtol)) << step;
    // At index 0 the published script calls the predictor for nothing.
    if (state.index > 0 && golden.tensors.contains("noise" + step)) {
      EXPECT_TRUE(close(state.noise, golden.at("noise" + step), atol, rtol)) << step;
    }
  });
  EXPECT_EQ(expected_index, 0);
  EXPECT_EQ(draws, options.steps + 1);

  const auto [x0_atol, x0_rtol] = golden.tolerance("sr_latent");
  EXPECT_TRUE(close(x0, golden.at("sr_latent"), x0_atol, x0_rtol));
  const auto quantised = system.autoencoder->quantise(x0);
  EXPECT_TRUE(same_codes(quantised.indices, golden));
  const auto [sr_atol, sr_rtol] = golden.tolerance("sr");
  EXPECT_TRUE(close(system.autoencoder->decode(x0).clamp(-1, 1), golden.at("sr"), sr_atol, sr_rtol));
}

TEST(PipelineReference, Seeded) {
  LPNSR_REQUIRE_GOLDENS();
  check_pipeline("pipe_seed7");
}

TEST(PipelineReference, GivenNoise) {
  LPNSR_REQUIRE_GOLDENS();
  check_pipeline("pipe_given_noise");
}

TEST(PipelineReference, RandomNoiseIsResShift) {
  LPNSR_REQUIRE_GOLDENS();
  check_pipeline("pipe_random_noise");
}

TEST(PipelineReference, PredictorOffAtOneStep) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string index : {"1", "2", "3"}) check_pipeline("pipe_off_" + index);
}

TEST(PipelineReference, FewerSteps) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string steps : {"1", "2", "3"}) check_pipeline("pipe_steps" + steps);
}

TEST(PipelineReference, SwinIRPreUpsampling) {
  LPNSR_REQUIRE_GOLDENS();
  check_pipeline("pipe_swinir");
}

TEST(PipelineReference, OptimalNoise) {
  LPNSR_REQUIRE_GOLDENS();
  check_pipeline("pipe_optimal_noise", [](SamplerOptions& options) { options.noise = "optimal"; });
}

void check_resshift(const std::string& name) {
  SCOPED_TRACE(name);
  const torch::NoGradGuard no_grad;
  const auto golden = load_case("diffusion/" + name);
  System system(golden);
  ScheduleOptions schedule;
  schedule.steps = system.config.at("T");
  schedule.kappa = system.config.at("kappa");
  schedule.power = system.config.at("power");
  schedule.min_noise_level = system.config.at("min_noise_level");
  schedule.etas_end = system.config.at("etas_end");
  SamplerOptions options;
  options.noise = "random";

  const auto lr = picture_of_bytes(golden.at("lr_u8")).unsqueeze(0);
  const auto y0 = system.autoencoder->encode(system.pre_upsampler(lr) * 2 - 1);
  const auto [atol, rtol] = golden.tolerance("sample");
  EXPECT_TRUE(close(y0, golden.at("z_y"), atol, rtol));
  const auto check = [&, atol = atol, rtol = rtol](const std::string& what, const at::Tensor& got) {
    if (!golden.tensors.contains(what)) return;
    EXPECT_TRUE(close(got, golden.at(what), atol, rtol)) << what;
  };
  auto generator = make_generator(system.config.at("seed"));
  int draws = 0;
  const Sampler sampler(ResidualShift(make_schedule(schedule)), system.denoiser, NoisePredictor(nullptr), options);
  const auto x0 = sampler.sample({lr * 2 - 1, y0, {}}, draws_of(golden, generator, draws), [&](const ChainState& state) {
    check(fmt::format("pred_xstart/{}", state.index), state.pred_x0);
    check(fmt::format("sample/{}", state.index + 1), state.x_t);  // the result of the step before
  });
  EXPECT_EQ(draws, schedule.steps + 1);
  check("sample/0", x0);
  const auto quantised = system.autoencoder->quantise(x0);
  EXPECT_TRUE(same_codes(quantised.indices, golden));
  const auto [sr_atol, sr_rtol] = golden.tolerance("sr");
  auto image = system.autoencoder->decode(x0);
  if (golden.at("sr").abs().max().item<float>() <= 1.0F) image = image.clamp(-1, 1);
  EXPECT_TRUE(close(image, golden.at("sr"), sr_atol, sr_rtol));
}

TEST(PipelineReference, ResShiftFourSteps) {
  LPNSR_REQUIRE_GOLDENS();
  check_resshift("pipe_resshift_T4");
}

TEST(PipelineReference, ResShiftFifteenSteps) {
  LPNSR_REQUIRE_GOLDENS();
  check_resshift("pipe_resshift_T15");
}

// Half a percent of the values may differ: a code may flip where two are nearly as close.
void expect_nearly_all_close(const at::Tensor& got, const at::Tensor& want, double atol) {
  ASSERT_EQ(got.sizes(), want.sizes());
  const auto outside = (got.to(torch::kFloat64) - want.to(torch::kFloat64)).abs() > atol;
  EXPECT_LE(outside.to(torch::kFloat64).mean().item<double>(), 0.005);
}

TEST(PipelineReference, WholePictureInPatches) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/pipe_chop");
  System system(golden);
  SystemOptions options;
  RestoreOptions restore;
  restore.tile = system.config.at("chop_size");
  restore.tile_stride = system.config.at("chop_stride");
  restore.pad_multiple = system.config.at("padding_offset");
  restore.seed = system.config.at("seed");
  const auto lr = picture_of_bytes(golden.at("lr_u8"));
  const auto run = [&] {
    int64_t states = 0;
    const Restorer restorer(options, restore, system.denoiser, system.predictor, system.autoencoder, system.pre_upsampler);
    auto image = restorer.restore(lr, std::nullopt, [&](const ChainState&) { ++states; });
    EXPECT_EQ(states + states / 4, golden.at("draw_shapes").size(0));  // four states and five draws a patch
    return image.permute({1, 2, 0});
  };
  const auto image = run();
  EXPECT_EQ(image.scalar_type(), torch::kFloat64);
  expect_nearly_all_close(image, golden.at("image"), golden.tolerance("image").first);
  expect_nearly_all_close(to_uint8(image, Rounding::truncate), golden.at("image_u8_truncated"), 1.0);
  restore.color_fix = "none";
  expect_nearly_all_close(run(), golden.at("image_without_color_correction"), golden.tolerance("image").first);
}

}  // namespace
}  // namespace lpnsr::testing
