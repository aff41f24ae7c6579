#include "core/error.h"
#include "losses/discriminator.h"

namespace lpnsr {

GanObjective parse_gan_objective(const std::string& name) {
  static const std::vector<std::pair<std::string, GanObjective>> objectives = {
      {"hinge", GanObjective::hinge}, {"vanilla", GanObjective::vanilla}, {"lsgan", GanObjective::lsgan}, {"wgan", GanObjective::wgan}};
  std::vector<std::string> names;
  for (const auto& [known, objective] : objectives) {
    if (name == known) return objective;
    names.push_back(known);
  }
  throw UsageError("unknown adversarial objective '" + name + "' (hinge, vanilla, lsgan, wgan)" + did_you_mean(name, names));
}

at::Tensor generator_loss(const at::Tensor& fake_logits, GanObjective objective) {
  switch (objective) {
    case GanObjective::vanilla:
      return torch::softplus(-fake_logits).mean();
    case GanObjective::lsgan:
      return (fake_logits - 1).square().mean();
    case GanObjective::hinge:
    case GanObjective::wgan:
      break;
  }
  return -fake_logits.mean();
}

DiscriminatorLoss discriminator_loss(const at::Tensor& real_logits, const at::Tensor& fake_logits, GanObjective objective) {
  DiscriminatorLoss loss;
  switch (objective) {
    case GanObjective::hinge:
      loss.real = torch::relu(1 - real_logits).mean();
      loss.fake = torch::relu(1 + fake_logits).mean();
      break;
    case GanObjective::vanilla:
      loss.real = torch::softplus(-real_logits).mean();
      loss.fake = torch::softplus(fake_logits).mean();
      break;
    case GanObjective::lsgan:
      loss.real = (real_logits - 1).square().mean();
      loss.fake = fake_logits.square().mean();
      break;
    case GanObjective::wgan:
      loss.real = -real_logits.mean();
      loss.fake = fake_logits.mean();
      break;
  }
  loss.total = (loss.real + loss.fake) / 2;
  return loss;
}

}  // namespace lpnsr
