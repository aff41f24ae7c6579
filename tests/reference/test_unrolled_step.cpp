// One iteration of Algorithm 1 against the published trainer: latents, losses, gradients, the discriminator's half.
#include "tests/support/synthetic.h"
#include "tests/support/training_reference.h"
#include "trainers/iteration.h"
#include "trainers/latents.h"

namespace lpnsr::testing {
namespace {

void expect_tensor(const ReferenceCase& reference, const std::string& name, const at::Tensor& got) {
  EXPECT_TRUE(close(got, reference.at(name), reference.description.at("atol").at(name).get<double>(), 1e-5)) << name;
}

void expect_loss(const nlohmann::json& losses, const char* name, const at::Tensor& got) {
  const double want = losses.at(name);
  EXPECT_NEAR(got.item<double>(), want, 1e-6 + 1e-5 * std::abs(want)) << name;
}

at::Tensor every_second(const at::Tensor& image) { return image.slice(2, 0, {}, 2).slice(3, 0, {}, 2); }

class UnrolledStep : public ::testing::TestWithParam<const char*> {};

TEST_P(UnrolledStep, EqualsThePublishedTrainer) {
  LPNSR_REQUIRE_GOLDENS();
  const ReferenceCase reference = load_case(std::string("training/unrolled_step_") + GetParam());
  const bool latent_gan = std::string(GetParam()) == "v2";
  Experiment experiment = reference_experiment(latent_gan, latent_gan ? 2 : 3);
  experiment.system.sampling.sample_noise = std::string(GetParam()) != "v1_mean";
  const auto networks = reference_networks(16);
  const Batch batch = reference_images("pair", 2);

  {
    NoisePredictorTrainer trainer(experiment, networks, PerceptualLoss(reference_lpips()));
    Discriminator discriminator = trainer.adversary()->network();
    fill_discriminator(discriminator);
    std::map<int64_t, ChainState> chain;
    const auto pass =
        trainer.forward(batch, true, reference_draws("unrolled", 2), [&](const ChainState& state) { chain[state.index] = state; });
    auto autoencoder = networks.autoencoder;
    expect_tensor(reference, "z_hr", latent_of_truth(autoencoder, batch));
    if (latent_gan) expect_tensor(reference, "z_hr", pass.real);
    expect_tensor(reference, "z_lr", pass.z_y);
    expect_tensor(reference, "pred_x0_0", pass.x0);
    expect_tensor(reference, "image", every_second(pass.image));
    for (const int64_t index : {3, 2, 1}) {
      expect_tensor(reference, "x_" + std::to_string(index), chain.at(index).x_t);
      expect_tensor(reference, "noise_" + std::to_string(index), chain.at(index).noise);
      expect_tensor(reference, "pred_x0_" + std::to_string(index), chain.at(index).pred_x0);
    }
    EXPECT_TRUE(autoencoder->quantise(pass.x0).indices.equal(reference.at("vq_index").to(torch::kInt64)));
    const auto& losses = reference.description.at("losses_f64").at("g");
    expect_loss(losses, "l1", pass.l1);
    expect_loss(losses, "lpips", pass.lpips);
    expect_loss(losses, "g_loss", pass.gan);
    expect_loss(losses, "total", pass.total);
  }
  {
    auto precise = reference_networks(16);
    Lpips lpips = reference_lpips();
    to_double(precise, lpips);
    NoisePredictorTrainer trainer(experiment, precise, PerceptualLoss(lpips));
    Discriminator discriminator = trainer.adversary()->network();
    fill_discriminator(discriminator);
    discriminator->to(torch::kFloat64);
    trainer.forward(to_double(batch), true, reference_draws("unrolled", 2)).total.backward();
    std::vector<std::string> keys;
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : precise.predictor->named_parameters()) {
      keys.push_back(parameter.key());
      gradients.push_back(parameter.value().grad());
    }
    EXPECT_EQ(keys, reference.description.at("predictor_params").get<std::vector<std::string>>());
    expect_tensor(reference, "grad_norms", norms_of(gradients));
    expect_tensor(reference, "grad_probes", probes_of(keys, gradients));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (reference.tensors.contains("grad/" + keys[i])) expect_tensor(reference, "grad/" + keys[i], gradients[i]);
    }
  }
  {
    // The discriminator's iteration: weights move last, so its gradients are still there to be compared.
    NoisePredictorTrainer trainer(experiment, networks, PerceptualLoss(reference_lpips()));
    Discriminator discriminator = trainer.adversary()->network();
    fill_discriminator(discriminator);
    experiment.optimizer.clip_norm = 0;
    trainer.replace_draws(reference_draws("unrolled", 2));
    const Metrics metrics = run_iteration(trainer, batch, {0, 2, 5e-5});
    const auto& losses = reference.description.at("losses_f64").at("d");
    for (const char* name : {"d_loss", "d_loss_real", "d_loss_fake", "l1", "lpips", "total"}) {
      EXPECT_NEAR(metrics.at(name), losses.at(name).get<double>(), 1e-6 + 1e-5 * std::abs(losses.at(name).get<double>())) << name;
    }
    for (const auto& [key, tensor] : state_dict(*discriminator)) {
      if (reference.tensors.contains("disc_phase/after/" + key)) expect_tensor(reference, "disc_phase/after/" + key, tensor);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Published, UnrolledStep, ::testing::Values("v1", "v1_mean", "v2"));

TEST(UnrolledStep, RecomputedActivationsGiveTheSameGradients) {
  const Batch batch = to_double(reference_images("pair", 1));
  std::vector<std::vector<at::Tensor>> gradients;
  for (const std::string recompute : {"none", "attention", "all"}) {
    Experiment experiment = reference_experiment(false, 3);
    experiment.training.recompute = recompute;
    auto networks = reference_networks(16);
    Lpips lpips = reference_lpips();
    to_double(networks, lpips);
    NoisePredictorTrainer trainer(experiment, networks, PerceptualLoss(lpips));
    trainer.forward(batch, false, reference_draws("unrolled", 1)).total.backward();
    gradients.emplace_back();
    for (const auto& parameter : networks.predictor->parameters()) gradients.back().push_back(parameter.grad());
  }
  for (size_t i = 0; i < gradients[0].size(); ++i) {
    for (const size_t way : {1, 2}) EXPECT_TRUE(at::allclose(gradients[0][i], gradients[way][i], 1e-8, 1e-12)) << i;
  }
}

}  // namespace
}  // namespace lpnsr::testing
