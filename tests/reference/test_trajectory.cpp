// Twenty iterations of the published trainer: both updates in turn, the epoch-wise cosine, clipping, the moving average.
#include "core/kernels/kernels.h"
#include "tests/support/synthetic.h"
#include "tests/support/tape_recorder.h"
#include "tests/support/training_reference.h"
#include "trainers/iteration.h"

namespace lpnsr::testing {
namespace {

std::vector<at::Tensor> moved(const std::vector<at::Tensor>& now, const std::vector<at::Tensor>& before) {
  std::vector<at::Tensor> differences;
  for (size_t i = 0; i < now.size(); ++i) differences.push_back(now[i].detach().to(torch::kFloat64) - before[i].to(torch::kFloat64));
  return differences;
}

double norm(const std::vector<at::Tensor>& tensors) { return norms_of(tensors).norm().item<double>(); }

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> result;
  for (const auto& tensor : tensors) result.push_back(tensor.detach().clone());
  return result;
}

struct Way {
  torch::Dtype type;
  bool graphs;  // the iterations' passes as what a CUDA graph is on a CPU
};

class Trajectory : public ::testing::TestWithParam<std::tuple<const char*, Way>> {};

TEST_P(Trajectory, EqualsThePublishedTrainer) {
  LPNSR_REQUIRE_GOLDENS();
  const std::string name = std::get<0>(GetParam());
  const auto [type, graphs] = std::get<1>(GetParam());
  const ReferenceCase reference = load_case("training/" + name);
  const bool latent_gan = name != "trajectory_v1";
  Experiment experiment = reference_experiment(latent_gan, latent_gan ? 2 : 3);
  experiment.losses.lpips = 1.0;
  const auto& options = reference.description.at("options");
  if (options.contains("trainer")) {
    experiment.optimizer.learning_rate.value = options.at("trainer").at("lr");
    experiment.optimizer.clip_norm = options.at("trainer").at("clip");
    experiment.optimizer.ema_rate = options.at("trainer").at("ema");
    experiment.optimizer.weight_decay = options.at("weight_decay");
  }
  experiment.gan.learning_rate = reference.description.at("steps_f64")[0].at("lr_d");
  const int64_t epoch_length = options.at("steps_per_epoch"), iterations = epoch_length * options.at("epochs").get<int64_t>();
  const std::string tag = reference.description.at("tag");

  auto networks = reference_networks(4);
  Lpips lpips = reference_lpips();
  if (type == torch::kFloat64) to_double(networks, lpips);
  NoisePredictorTrainer trainer(experiment, networks, PerceptualLoss(lpips), {.recorder = graphs ? tape_recorder() : GraphRecorder()});
  Discriminator discriminator = trainer.adversary()->network();
  fill_discriminator(discriminator);
  discriminator->to(type);
  const auto parameters = networks.predictor->parameters();
  const auto start = copies(parameters), disc_start = copies(discriminator->parameters());

  // The published tolerances are ten times the distance between that trainer's float32 and float64. The stress case's high rate makes much
  // of single roundings: the sums in AVX2's order end a little farther away.
  const double slack =
      type == torch::kFloat32 && name == "trajectory_v2_stress" && kernels::kernels() == &kernels::kKernelsAvx2 ? 4.0 : 1.0;
  const auto& rtol = reference.description.at("recommended_rtol");
  const std::map<std::string, std::string> names = {{"clip_norm", "grad_norm"}};
  for (int64_t k = 0; k < iterations; ++k) {
    const std::string step = tag + "/step" + std::to_string(k);
    const StepPosition position{k, k / epoch_length + 1, learning_rate_at(experiment.optimizer.learning_rate, k, iterations, epoch_length)};
    trainer.replace_draws(reference_draws(step, 1));
    Metrics metrics =
        run_iteration(trainer, type == torch::kFloat64 ? to_double(reference_images(step, 1)) : reference_images(step, 1), position);
    metrics["lr"] = position.learning_rate;
    metrics["predictor_moved"] = norm(moved(parameters, start));
    metrics["disc_moved"] = norm(moved(discriminator->parameters(), disc_start));
    for (const auto& [key, want] : reference.description.at("steps_f64")[static_cast<size_t>(k)].items()) {
      const auto metric = metrics.find(names.count(key) ? names.at(key) : key);
      if (metric == metrics.end() || want.is_null()) continue;
      const double value = want;
      EXPECT_NEAR(metric->second, value, 1e-6 + rtol.at(key).get<double>() * std::abs(value)) << "step " << k << " " << key;
    }
    EXPECT_EQ(metrics.count("d_loss"), k % 2 == 0 && k >= epoch_length ? 1u : 0u) << k;
    EXPECT_EQ(metrics.count("grad_norm"), k % 2 == 1 ? 1u : 0u) << k;
  }

  const auto expect_tensor = [&](const std::string& key, const at::Tensor& got) {
    EXPECT_TRUE(close(got, reference.at(key), slack * reference.description.at("atol").at(key).get<double>(), 1e-5)) << key;
  };
  std::vector<std::string> keys;
  for (const auto& parameter : networks.predictor->named_parameters()) keys.push_back(parameter.key());
  const auto deltas = moved(parameters, start);
  expect_tensor("delta_norms", norms_of(deltas));
  expect_tensor("delta_probes", probes_of(keys, deltas));
  const StateDict average = trainer.weights(), weights = state_dict(*networks.predictor);
  std::vector<at::Tensor> averaged;
  for (const auto& key : keys) averaged.push_back(average.at(key));
  expect_tensor("ema_norms", norms_of(moved(averaged, start)));
  expect_tensor("ema_probes", probes_of(keys, moved(averaged, start)));
  // Adam moves a weight by the learning rate times a sign while its gradients are no more than rounding: in float32 one weight in a
  // thousand may have gone the other way, by twice the rate.
  const auto expect_weights = [&](const std::string& key, const at::Tensor& got) {
    if (type == torch::kFloat64) return expect_tensor(key, got);
    const auto distance = (got - reference.at(key)).abs();
    const auto within = reference.description.at("atol").at(key).get<double>() + 1e-5 * reference.at(key).abs();
    EXPECT_LE((distance > within).sum().item<int64_t>(), got.numel() / 1000) << key;
    EXPECT_LE(distance.max().item<double>(), 2.5 * experiment.optimizer.learning_rate.value) << key;
  };
  for (const char* key : {"out.2.weight", "out.2.bias", "input_blocks.0.0.bias"}) {
    expect_weights(std::string("final/") + key, weights.at(key));
    expect_weights(std::string("final_ema/") + key, average.at(key));
  }
  std::vector<std::string> disc_keys;
  for (const auto& parameter : discriminator->named_parameters()) disc_keys.push_back(parameter.key());
  const auto disc_deltas = moved(discriminator->parameters(), disc_start);
  expect_tensor("disc_norms", norms_of(disc_deltas));
  expect_tensor("disc_probes", probes_of(disc_keys, disc_deltas));

  const StateDict saved = trainer.save();
  std::vector<at::Tensor> moments;
  for (const auto& key : keys) {
    const std::string prefix = "noise_predictor/adam/" + key;
    moments.push_back(torch::tensor({saved.at(prefix + "/exp_avg").to(torch::kFloat64).norm().item<double>(),
                                     saved.at(prefix + "/exp_avg_sq").to(torch::kFloat64).norm().item<double>(),
                                     static_cast<double>(saved.at(prefix + "/step").item<int64_t>())},
                                    torch::kFloat64));
  }
  expect_tensor("adam_moments", torch::stack(moments));
}

INSTANTIATE_TEST_SUITE_P(Published, Trajectory,
                         ::testing::Combine(::testing::Values("trajectory_v1", "trajectory_v2", "trajectory_v2_stress"),
                                            ::testing::Values(Way{torch::kFloat64, false}, Way{torch::kFloat, false})));
INSTANTIATE_TEST_SUITE_P(AsGraphs, Trajectory,
                         ::testing::Combine(::testing::Values("trajectory_v1"), ::testing::Values(Way{torch::kFloat64, true})));

}  // namespace
}  // namespace lpnsr::testing
