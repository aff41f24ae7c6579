#include "trainers/perceptual_losses.h"

namespace lpnsr {

at::Tensor PerceptualLoss::each(const at::Tensor& image, const at::Tensor& reference) { return network_->forward(image, reference); }

Adversary::Adversary(const Experiment& experiment, uint64_t seed, const Placement& placement)
    : objective_(parse_gan_objective(experiment.gan.objective)),
      learning_rate_(experiment.gan.learning_rate),
      start_epoch_(experiment.gan.start_epoch),
      update_every_(experiment.gan.update_every) {
  torch::manual_seed(seed);
  discriminator_ = Discriminator(experiment.gan.discriminator);
  discriminator_->to(placement.device);
  trained_ = std::make_unique<TrainedNetwork>(discriminator_.ptr(), experiment, /*ema_rate=*/0.0, placement);
}

bool Adversary::playing(const StepPosition& position) const { return position.epoch >= start_epoch_; }

at::Tensor Adversary::generator_term(const at::Tensor& fake) {
  const auto learn = [this](bool yes) {
    for (auto& parameter : discriminator_->parameters()) parameter.requires_grad_(yes);
  };
  learn(false);
  const at::Tensor term = generator_loss(discriminator_->forward(fake), objective_);
  learn(true);
  return term;
}

void Adversary::accumulate(const at::Tensor& real, const at::Tensor& fake, const Part& part, Scalars& scalars) {
  const at::Tensor real_logits = discriminator_->forward(real.detach());
  const at::Tensor fake_logits = discriminator_->forward(fake.detach());
  const DiscriminatorLoss loss = discriminator_loss(real_logits, fake_logits, objective_);
  trained_->backward(loss.total, part.of_many, part.last());
  scalars.add("d_loss", loss.total);
  scalars.add("d_loss_real", loss.real);
  scalars.add("d_loss_fake", loss.fake);
}

}  // namespace lpnsr
