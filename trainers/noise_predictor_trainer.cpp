#include "trainers/noise_predictor_trainer.h"

#include "core/error.h"
#include "core/image.h"
#include "core/random.h"
#include "core/resize.h"
#include "losses/l1.h"

namespace lpnsr {
namespace {

// Training always walks all T steps with the predictor on (Algorithm 1).
SamplerOptions whole_chain(const SamplerOptions& sampling) {
  SamplerOptions options;
  options.sample_noise = sampling.sample_noise;
  return options;
}

}  // namespace

NoisePredictorTrainer::NoisePredictorTrainer(const Experiment& experiment, Networks networks, PerceptualLoss lpips)
    : experiment_(experiment),
      networks_(std::move(networks)),
      chain_(ResidualShift(make_schedule(experiment.system.schedule)), networks_.denoiser, networks_.predictor,
             whole_chain(experiment.system.sampling)),
      lpips_(std::move(lpips)) {
  for (auto& parameter : networks_.denoiser->parameters()) parameter.requires_grad_(false);
  for (auto& parameter : networks_.autoencoder->parameters()) parameter.requires_grad_(false);
  networks_.predictor->set_checkpointing(experiment.training.recompute_activations);
  networks_.denoiser->set_checkpointing(experiment.training.recompute_activations);
  predictor_ = std::make_unique<TrainedNetwork>(networks_.predictor.ptr(), experiment.optimizer, experiment.optimizer.ema_rate);
  if (experiment.losses.gan > 0) {
    adversary_ =
        std::make_unique<Adversary>(experiment, stream_seed(static_cast<uint64_t>(experiment.seed), "discriminator's initial weights"));
  }
}

NoisePredictorTrainer::Forward NoisePredictorTrainer::forward(const Batch& batch, bool adversarial, const DrawNormal& draw,
                                                              const std::function<void(const ChainState&)>& observe) {
  Forward result;
  const at::Tensor lq = batch.lr * 2 - 1;
  const at::Tensor hr = batch.hr;
  {
    const torch::NoGradGuard frozen;
    result.z_hr = networks_.autoencoder->encode(hr * 2 - 1);
    // Bicubic start (Algorithm 1), not clamped.
    result.z_y = networks_.autoencoder->encode(resize_bicubic(lq, hr.size(2), hr.size(3)));
  }
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
  const bool latent_space = experiment_.gan.space == "latent";
  result.fake = latent_space ? result.x0 : image;
  result.real = latent_space ? result.z_hr : hr;
  if (adversarial) {
    result.gan = adversary_->generator_term(result.fake);
    result.total = result.total + weights.gan * result.gan;
  }
  return result;
}

Metrics NoisePredictorTrainer::step(const Batch& batch, const StepPosition& position) {
  at::Generator generator =
      make_generator(stream_seed(static_cast<uint64_t>(experiment_.seed), "training noise", {static_cast<uint64_t>(position.iteration)}));
  return step(batch, position, [&](at::IntArrayRef shape) { return torch::randn(shape, generator); });
}

Metrics NoisePredictorTrainer::step(const Batch& batch, const StepPosition& position, const DrawNormal& draw) {
  const bool adversarial = adversary_ && adversary_->playing(position);
  // As published, the discriminator's iterations leave the predictor alone even while the game is not on yet.
  const bool discriminators_turn = adversary_ && adversary_->discriminators_turn(position.iteration);
  Forward forward_pass;
  {
    const torch::AutoGradMode gradients(!discriminators_turn);
    forward_pass = forward(batch, adversarial, draw);
  }

  Metrics metrics{{"l1", forward_pass.l1.item<double>()}, {"total", forward_pass.total.item<double>()}};
  if (forward_pass.lpips.defined()) metrics["lpips"] = forward_pass.lpips.item<double>();
  if (forward_pass.gan.defined()) metrics["g_loss"] = forward_pass.gan.item<double>();
  if (!discriminators_turn) {
    predictor_->zero_grad();
    forward_pass.total.backward();
    metrics["grad_norm"] = predictor_->update(position.learning_rate);
  }
  if (adversarial && (discriminators_turn || adversary_->updates_every_iteration())) {
    adversary_->update(forward_pass.real, forward_pass.fake, metrics);
  }
  return metrics;
}

StateDict NoisePredictorTrainer::save() const {
  StateDict saved = predictor_->save().with_prefix("noise_predictor/");
  if (adversary_) {
    for (const auto& [key, tensor] : adversary_->save()) saved.add("discriminator/" + key, tensor);
  }
  return saved;
}

void NoisePredictorTrainer::load(const StateDict& saved, const std::string& origin) {
  predictor_->load(saved.below("noise_predictor/"), origin);
  if (adversary_) adversary_->load(saved.below("discriminator/"), origin);
}

at::Tensor NoisePredictorTrainer::sample(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  at::Generator generator = make_generator(stream_seed(static_cast<uint64_t>(experiment_.seed), "sample noise"));
  const Forward result = forward(batch, false, [&](at::IntArrayRef shape) { return torch::randn(shape, generator); });
  const at::Tensor bicubic = resize_bicubic(batch.lr, batch.hr.size(2), batch.hr.size(3)).clamp(0, 1);
  const at::Tensor restored = (result.image / 2 + 0.5).clamp(0, 1);
  std::vector<at::Tensor> cells;
  for (int64_t i = 0; i < batch.hr.size(0); ++i) cells.insert(cells.end(), {bicubic[i], restored[i], batch.hr[i]});
  return image_grid(cells, 3);
}

}  // namespace lpnsr
