#include "core/error.h"
#include "core/random.h"
#include "trainers/autoencoder_trainer.h"
#include "trainers/denoiser_trainer.h"
#include "trainers/method.h"
#include "trainers/noise_predictor_trainer.h"

namespace lpnsr {
namespace {

void check(const Experiment& experiment) {
  const int64_t scale = experiment.system.autoencoder.scale();
  const int64_t latent = experiment.data.crop_size / scale;
  if (experiment.data.crop_size % scale != 0) {
    throw UsageError("data.crop_size must be a multiple of the autoencoder's scale, " + std::to_string(scale));
  }
  if (experiment.degradation.scale != scale) {
    throw UsageError("degradation.scale must be the autoencoder's scale, " + std::to_string(scale) +
                     ": the LR picture is as large as the latent");
  }
  if (experiment.trainer == "autoencoder") return;
  const int64_t multiple = side_multiple(experiment.system.denoiser);
  if (latent % multiple != 0) {
    throw UsageError("data.crop_size / " + std::to_string(scale) + " = " + std::to_string(latent) + " must be a multiple of " +
                     std::to_string(multiple) + ", the side that every level of the denoiser accepts");
  }
  const LossOptions& losses = experiment.losses;
  if (experiment.trainer == "denoiser" && losses.mse <= 0 && losses.lpips <= 0) {
    throw UsageError("the denoiser's losses are all 0: give losses.mse or losses.lpips a weight");
  }
  if (experiment.trainer == "noise_predictor" && losses.l1 <= 0 && losses.lpips <= 0 && losses.gan <= 0) {
    throw UsageError("the weights of Eq. 12 are all 0: give losses.l1, losses.lpips or losses.gan a weight");
  }
}

}  // namespace

DrawNormal normals_for(const Part& part, at::Generator generator) {
  return [first = part.first, total = part.total, device = part.batch.hr.device(), generator](at::IntArrayRef shape) {
    std::vector<int64_t> whole = shape.vec();
    whole[0] = total;
    return torch::randn(whole, generator).narrow(0, first, shape[0]).to(device);
  };
}

StateDict TrainingMethod::save() const {
  StateDict saved;
  for (const auto& [name, network] : trained()) {
    for (const auto& [key, tensor] : network->save()) saved.add(name + "/" + key, tensor);
  }
  return saved;
}

void TrainingMethod::load(const StateDict& saved, const std::string& origin) {
  for (const auto& [name, network] : trained()) network->load(saved.below(name + "/"), origin);
}

std::unique_ptr<TrainingMethod> make_training_method(const Experiment& experiment, NetworkSource& source, const Placement& placement) {
  check(experiment);
  const SystemOptions& system = experiment.system;
  PerceptualLoss lpips(source.lpips(experiment.losses));
  if (experiment.trainer == "autoencoder") {
    return std::make_unique<AutoencoderTrainer>(experiment, source.trained<Autoencoder>(system.autoencoder, experiment), std::move(lpips),
                                                placement);
  }
  auto autoencoder = source.frozen<Autoencoder>(system.autoencoder, system.weights.autoencoder, "autoencoder");
  if (experiment.trainer == "denoiser") {
    return std::make_unique<DenoiserTrainer>(experiment, source.trained<SwinUNet>(system.denoiser, experiment), std::move(autoencoder),
                                             std::move(lpips), placement);
  }
  NoisePredictorTrainer::Networks networks;
  networks.denoiser = source.frozen<SwinUNet>(system.denoiser, system.weights.denoiser, "denoiser");
  networks.autoencoder = std::move(autoencoder);
  networks.predictor = source.trained<NoisePredictor>(system.noise_predictor, experiment);
  return std::make_unique<NoisePredictorTrainer>(experiment, std::move(networks), std::move(lpips), placement);
}

}  // namespace lpnsr
