#include "trainers/perceptual_losses.h"

namespace lpnsr {

PerceptualLoss::PerceptualLoss(const LossOptions& options, const std::filesystem::path& weights_folder) {
  if (options.lpips <= 0) return;
  const LpipsNetwork kind = options.lpips_network == "vgg" ? LpipsNetwork::vgg : LpipsNetwork::alex;
  network_ = load_lpips(kind, find_lpips_files(kind, weights_folder));
}

at::Tensor PerceptualLoss::each(const at::Tensor& image, const at::Tensor& reference) { return network_->forward(image, reference); }

Adversary::Adversary(const Experiment& experiment, uint64_t seed)
    : objective_(parse_gan_objective(experiment.gan.objective)),
      learning_rate_(experiment.gan.learning_rate),
      start_epoch_(experiment.gan.start_epoch),
      update_every_(experiment.gan.update_every) {
  torch::manual_seed(seed);
  discriminator_ = Discriminator(experiment.gan.discriminator);
  trained_ = std::make_unique<TrainedNetwork>(discriminator_.ptr(), experiment.optimizer, /*ema_rate=*/0.0);
}

bool Adversary::playing(const StepPosition& position) const { return position.epoch >= start_epoch_; }

at::Tensor Adversary::generator_term(const at::Tensor& fake) { return generator_loss(discriminator_->forward(fake), objective_); }

void Adversary::update(const at::Tensor& real, const at::Tensor& fake, Metrics& metrics) {
  trained_->zero_grad();
  const at::Tensor real_logits = discriminator_->forward(real.detach());
  const at::Tensor fake_logits = discriminator_->forward(fake.detach());
  const DiscriminatorLoss loss = discriminator_loss(real_logits, fake_logits, objective_);
  loss.total.backward();
  trained_->update(learning_rate_);
  metrics["d_loss"] = loss.total.item<double>();
  metrics["d_loss_real"] = loss.real.item<double>();
  metrics["d_loss_fake"] = loss.fake.item<double>();
}

}  // namespace lpnsr
