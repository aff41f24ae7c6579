#include "trainers/noise_predictor_trainer.h"

#include <fmt/format.h>

#include "core/autocast.h"
#include "core/random.h"
#include "losses/l1.h"
#include "trainers/latents.h"

namespace lpnsr {
namespace {

// Training walks the chain of Algorithm 1 with the predictor on at every step: all T of them, or fewer where the experiment starts later.
SamplerOptions training_chain(const SamplerOptions& sampling) {
  SamplerOptions options = sampling;
  options.noise = "predictor";
  options.predictor_off.clear();
  return options;
}

}  // namespace

NoisePredictorTrainer::NoisePredictorTrainer(const Experiment& experiment, Networks networks, PerceptualLoss lpips,
                                             const Placement& placement)
    : TrainingMethod(placement.recorder),
      experiment_(experiment),
      device_(placement.device),
      precision_(experiment.training.computed_in(placement.device)),
      networks_(std::move(networks)),
      chain_(ResidualShift(make_schedule(experiment.system.schedule)), networks_.denoiser, networks_.predictor,
             training_chain(experiment.system.sampling)),
      lpips_(std::move(lpips)) {
  freeze(*networks_.denoiser);
  freeze(*networks_.autoencoder);
  const Recomputed recomputed = parse_recomputed(experiment.training.recompute);
  networks_.predictor->recompute(recomputed);
  networks_.denoiser->recompute(of_frozen(recomputed));
  predictor_ = std::make_unique<TrainedNetwork>(networks_.predictor.ptr(), experiment, experiment.optimizer.ema_rate, placement);
  if (experiment.losses.gan > 0) {
    adversary_ = std::make_unique<Adversary>(
        experiment, stream_seed(static_cast<uint64_t>(experiment.seed), "discriminator's initial weights"), placement);
  }
}

NoisePredictorTrainer::Forward NoisePredictorTrainer::forward(const Batch& batch, bool adversarial, const DrawNormal& draw,
                                                              const std::function<void(const ChainState&)>& observe) {
  Forward result;
  const at::Tensor lq = batch.lr * 2 - 1;
  const at::Tensor hr = batch.hr;
  const bool latent_space = experiment_.gan.space == "latent";
  if (adversarial) result.real = latent_space ? latent_of_truth(networks_.autoencoder, batch) : hr;
  result.z_y = latent_of_bicubic(networks_.autoencoder, batch);  // bicubic start (Algorithm 1), not clamped
  const AutocastScope autocast(device_, precision_);             // as published, the encoder stays outside
  result.x0 = chain_.sample({lq, result.z_y, {}}, draw, observe);
  result.image = networks_.autoencoder->decode(result.x0);
  const at::Tensor seen = experiment_.losses.clamp_image ? result.image.clamp(-1.0, 1.0) : result.image;
  const at::Tensor image = seen / 2 + 0.5;

  const LossOptions& weights = experiment_.losses;
  result.l1 = lpnsr::l1_loss(image, hr);
  result.total = weights.l1 * result.l1;
  if (lpips_.active()) {
    result.lpips = lpips_.mean(image * 2 - 1, hr * 2 - 1);
    result.total = result.total + weights.lpips * result.lpips;
  }
  if (adversarial) {
    result.fake = latent_space ? result.x0 : image;
    result.gan = adversary_->generator_term(result.fake);
    result.total = result.total + weights.gan * result.gan;
  }
  return result;
}

std::vector<TrainingMethod::Due> NoisePredictorTrainer::due(const StepPosition& position) {
  std::vector<Due> networks;
  const bool discriminator = discriminators_turn(position);
  if (!discriminator) networks.push_back({predictor_.get(), position.learning_rate, "grad_norm"});
  if (adversarial(position) && (discriminator || adversary_->updates_every_iteration())) {
    networks.push_back(adversary_->due());
  }
  return networks;
}

std::vector<at::Tensor> NoisePredictorTrainer::draws(const Part& part, const StepPosition& position) {
  const DrawNormal draw = given_draws_ ? given_draws_ : normals_of_iteration(part, experiment_, position);
  auto shape = latent_shape(part.batch, experiment_.system);
  std::vector<at::Tensor> maps;
  for (const int64_t channels : chain_.draws()) {
    shape[1] = channels;
    maps.push_back(draw(shape));
  }
  return maps;
}

Scalars NoisePredictorTrainer::passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) {
  const bool in_game = adversarial(position), turn = discriminators_turn(position);
  Scalars scalars;
  // Fig. 4: the predicted noise of each step, whose law the paper compares with N(0,1).
  const auto observe = [&](const ChainState& state) {
    if (state.index == 0) return;
    const at::Tensor noise = state.noise.detach().to(torch::kFloat);
    scalars.add(fmt::format("noise_mean_t{}", state.index + 1), noise.mean());
    scalars.add(fmt::format("noise_deviation_t{}", state.index + 1), noise.std());
  };
  Forward pass;
  {
    const torch::AutoGradMode gradients(!turn);
    pass = forward(
        part.batch, in_game, [next = draws.begin()](at::IntArrayRef) mutable { return *next++; }, observe);
  }
  scalars.add("l1", pass.l1);
  scalars.add("total", pass.total);
  if (pass.lpips.defined()) scalars.add("lpips", pass.lpips);
  if (pass.gan.defined()) scalars.add("g_loss", pass.gan);
  if (!turn) predictor_->backward(pass.total, part.of_many, part.last());
  if (in_game && (turn || adversary_->updates_every_iteration())) {
    const AutocastScope autocast(device_, precision_);
    adversary_->accumulate(pass.real, pass.fake, part, scalars);
  }
  return scalars;
}

std::vector<TrainingMethod::Member> NoisePredictorTrainer::trained() const {
  std::vector<Member> members{{"noise_predictor", predictor_.get()}};
  if (adversary_) members.push_back({"discriminator", adversary_->trained()});
  return members;
}

at::Tensor NoisePredictorTrainer::restored(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  return (forward(batch, false, normals_of_samples(batch, experiment_)).image.to(torch::kFloat) / 2 + 0.5).clamp(0, 1);
}

}  // namespace lpnsr
