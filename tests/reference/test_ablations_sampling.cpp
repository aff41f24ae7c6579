// The noise sources of Table 5, the removals of Table 4 and the step counts of Table 1.
#include <fmt/format.h>

#include "core/resize.h"
#include "diffusion/sampler.h"
#include "tests/support/reference.h"
#include "tests/support/training_reference.h"

namespace lpnsr::testing {
namespace {

class AblationsReference : public ::testing::Test {
 protected:
  void SetUp() override {
    LPNSR_REQUIRE_GOLDENS();
    const torch::NoGradGuard no_grad;
    golden_ = load_case("training/ablations_sampling");
    const auto pictures = reference_images("abl", 1);
    lq_ = pictures.lr * 2 - 1;
    const auto hr = pictures.hr * 2 - 1;
    const auto bicubic = resize_bicubic_scale(lq_, 4);
    z_bicubic_ = networks_.autoencoder->encode(bicubic);
    z_regression_ = networks_.autoencoder->encode(((bicubic + hr) / 2).clamp(-1, 1));
    z_hr_ = networks_.autoencoder->encode(hr);
  }

  void check(const std::string& name, const at::Tensor& got) {
    EXPECT_TRUE(close(got, golden_.at(name), golden_.description.at("atol").at(name).get<double>(), 0.0)) << name;
  }

  // `noise`: which of the stored draws stands for each step's, "random" or "eps" by paper's t.
  at::Tensor sample(const at::Tensor& y0, const SamplerOptions& options, const std::function<void(const ChainState&)>& observe = {},
                    const at::Tensor& reference = {}) {
    int64_t index = first_step(options, 4);  // the start's own draw comes before the first step's
    const DrawNormal draw = [&, first = true](at::IntArrayRef) mutable {
      if (first) {
        first = false;
        return reference_noise("abl/init", 1);
      }
      --index;
      const auto& off = options.predictor_off;
      const bool random = options.noise == "random" || std::find(off.begin(), off.end(), index + 1) != off.end();
      return reference_noise(fmt::format("abl/{}_{}", random ? "random" : "eps", index), 1);
    };
    const Sampler sampler(ResidualShift(make_schedule(ScheduleOptions{})), networks_.denoiser, networks_.predictor, options);
    return sampler.sample({lq_, y0, reference}, draw, observe);
  }

  ReferenceCase golden_;
  NoisePredictorTrainer::Networks networks_ = reference_networks(16);
  at::Tensor lq_, z_bicubic_, z_regression_, z_hr_;
};

TEST_F(AblationsReference, Latents) {
  check("z_hr", z_hr_);
  check("z_reg", z_regression_);
}

TEST_F(AblationsReference, NoiseSources) {
  const torch::NoGradGuard no_grad;
  const auto run = [this](const std::string& row, const SamplerOptions& options, const at::Tensor& reference = {}) {
    const std::string prefix = "table5/" + row + "/";
    const auto observe = [&](const ChainState& state) {
      const std::string noise = fmt::format("{}noise_{}", prefix, state.index), x = fmt::format("{}x_{}", prefix, state.index);
      if (golden_.tensors.contains(noise)) check(noise, state.noise);
      if (golden_.tensors.contains(x)) check(x, state.x_t);
    };
    const auto latent = sample(z_bicubic_, options, observe, reference);
    check(prefix + "latent", latent);
    const auto image = networks_.autoencoder->decode(latent).clamp(-1, 1);
    check(prefix + "image", image.slice(2, 0, at::nullopt, 2).slice(3, 0, at::nullopt, 2));
  };
  SamplerOptions options;
  run("predictor", options);
  options.sample_noise = false;
  run("predictor_mean", options);
  options.noise = "random";
  run("random", options);
  options.noise = "optimal";
  run("optimal", options, z_hr_);
  run("approx_optimal", options,
      z_regression_);  // here y0 is the bicubic latent, unlike in the paper's runs, where it is x0's estimate too
}

TEST_F(AblationsReference, PredictorRemovedAtOneStep) {
  for (const int64_t step : {4, 3, 2}) {
    SamplerOptions options;
    options.predictor_off = {step};
    check(fmt::format("table4/removed_t{}/latent", step), sample(z_regression_, options));
  }
}

TEST_F(AblationsReference, StepCounts) {
  for (const int64_t steps : {1, 2, 3, 4}) {
    SamplerOptions options;
    options.steps = steps;
    check(fmt::format("table1/preset_a_T{}/latent", steps), sample(z_bicubic_, options));
    check(fmt::format("table1/preset_b_T{}/latent", steps), sample(z_regression_, options));
    options.noise = "random";
    check(fmt::format("table1/resshift_T{}/latent", steps), sample(z_bicubic_, options));
  }
}

}  // namespace
}  // namespace lpnsr::testing
