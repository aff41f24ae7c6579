// ResShift's own training of the denoiser: loss, gradients and learning rate of the published trainer; and the equality of split batches.
#include "tests/support/synthetic.h"
#include "tests/support/training_reference.h"
#include "trainers/denoiser_trainer.h"

namespace lpnsr::testing {
namespace {

TEST(ResShiftTraining, LossAndGradientsEqualThePublishedTrainer) {
  LPNSR_REQUIRE_GOLDENS();
  const ReferenceCase reference = load_case("training/resshift_training");
  const auto expect_tensor = [&](const std::string& name, const at::Tensor& got) {
    EXPECT_TRUE(close(got, reference.at(name), reference.description.at("atol").at(name).get<double>(), 1e-5)) << name;
  };
  for (const bool mse_only : {false, true}) {
    Experiment experiment = reference_experiment(false, 3);
    experiment.losses.mse = 1.0;
    auto networks = reference_networks(16);
    Lpips lpips = reference_lpips();
    to_double(networks, lpips);
    DenoiserTrainer trainer(experiment, networks.denoiser, networks.autoencoder, mse_only ? PerceptualLoss() : PerceptualLoss(lpips));
    const auto losses = trainer.losses(to_double(reference_images("resshift", 4)), torch::arange(4),
                                       reference_noise("resshift/noise", 4).to(torch::kFloat64));
    expect_tensor(mse_only ? "mse_only_loss" : "loss", losses.total);
    if (!mse_only) {
      expect_tensor("z_t", losses.z_t);
      expect_tensor("z0_pred", losses.x0);
      expect_tensor("mse", losses.mse);
      expect_tensor("lpips", losses.lpips);
    }
    losses.total.mean().backward();
    std::vector<std::string> keys;
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : networks.denoiser->named_parameters()) {
      keys.push_back(parameter.key());
      gradients.push_back(parameter.value().grad());
      if (!mse_only && reference.tensors.contains("grad/" + parameter.key()))
        expect_tensor("grad/" + parameter.key(), parameter.value().grad());
    }
    const std::string prefix = mse_only ? "mse_only_" : "";
    expect_tensor(prefix + "grad_norms", norms_of(gradients));
    expect_tensor(prefix + "grad_probes", probes_of(keys, gradients));
  }
}

TEST(ResShiftTraining, LearningRateEqualsThePublishedTable) {
  LPNSR_REQUIRE_GOLDENS();
  LearningRateOptions options;
  options.value = 5e-5;
  options.minimum = 2e-5;
  options.per = "iteration";
  options.warmup = 5000;
  const ReferenceCase reference = load_case("training/resshift_training");
  for (const auto& [iteration, rate] : reference.description.at("lr_at_iteration").items()) {
    EXPECT_NEAR(learning_rate_at(options, std::stoll(iteration) - 1, 400000, 1000), rate.get<double>(), 1e-15) << iteration;
  }
}

class SplitBatches : public ::testing::TestWithParam<const char*> {};

TEST_P(SplitBatches, MeanOfTheHalvesIsTheWhole) {
  LPNSR_REQUIRE_GOLDENS();
  const std::string name = GetParam();
  const ReferenceCase reference = load_case("training/ddp_equivalence_" + name);
  const bool latent_gan = name == "v2";
  const Batch whole = to_double(reference_images("ddp", 4));
  const auto draws_of = [](int64_t first, int64_t count) -> DrawNormal {
    return [draw = reference_draws("ddp", 4), first, count](at::IntArrayRef shape) {
      std::vector<int64_t> all = shape.vec();
      all[0] = 4;
      return draw(all).narrow(0, first, count);
    };
  };
  const std::vector<std::tuple<std::string, int64_t, int64_t>> parts = {{"full", 0, 4}, {"half0", 0, 2}, {"half1", 2, 2}};
  for (const auto& [part, first, count] : parts) {
    const Experiment experiment = reference_experiment(latent_gan, latent_gan ? 2 : 3);
    auto networks = reference_networks(16);
    Lpips lpips = reference_lpips();
    to_double(networks, lpips);
    NoisePredictorTrainer trainer(experiment, networks, PerceptualLoss(lpips));
    Discriminator discriminator = trainer.adversary()->network();
    fill_discriminator(discriminator);
    discriminator->to(torch::kFloat64);
    const Batch batch{whole.hr.narrow(0, first, count), whole.lr.narrow(0, first, count)};
    trainer.forward(batch, true, draws_of(first, count)).total.backward();
    std::vector<std::string> keys;
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : networks.predictor->named_parameters()) {
      keys.push_back(parameter.key());
      gradients.push_back(parameter.value().grad());
    }
    for (const auto& [table, got] : {std::pair{"_norms", norms_of(gradients)}, std::pair{"_probes", probes_of(keys, gradients)}}) {
      const std::string key = "g/" + part + table;
      EXPECT_TRUE(close(got, reference.at(key), reference.description.at("atol").at(key).get<double>(), 1e-5)) << key;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Published, SplitBatches, ::testing::Values("v1", "v2"));

}  // namespace
}  // namespace lpnsr::testing
