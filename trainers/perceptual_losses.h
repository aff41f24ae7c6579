#pragma once
// The image losses that the trainers share (Eq. 12) and the discriminator's side of the adversarial game.
#include <memory>

#include "losses/discriminator.h"
#include "losses/lpips.h"
#include "trainers/method.h"
#include "trainers/trained_network.h"

namespace lpnsr {

// LPIPS with frozen weights; without a network where its weight is 0.
class PerceptualLoss {
 public:
  explicit PerceptualLoss(Lpips network = nullptr) : network_(std::move(network)) {}
  bool active() const { return !network_.is_empty(); }
  // Images [N,3,H,W] in [-1,1] -> [N].
  at::Tensor each(const at::Tensor& image, const at::Tensor& reference);
  at::Tensor mean(const at::Tensor& image, const at::Tensor& reference) { return each(image, reference).mean(); }

 private:
  Lpips network_{nullptr};
};

// PatchGAN with its optimiser. As published it stays in train mode: each call makes one power iteration of the spectral norm.
class Adversary {
 public:
  Adversary(const Experiment& experiment, uint64_t seed, const Placement& placement);
  // Whether the game is on in this epoch, and whether this iteration is the discriminator's.
  bool playing(const StepPosition& position) const;
  bool discriminators_turn(int64_t iteration) const { return update_every_ > 1 && iteration % update_every_ == 0; }
  bool updates_every_iteration() const { return update_every_ == 1; }

  // Gradients flow to `fake` alone.
  at::Tensor generator_term(const at::Tensor& fake);
  // The discriminator's own loss and gradients on one part.
  void accumulate(const at::Tensor& real, const at::Tensor& fake, const Part& part, Scalars& scalars);
  TrainingMethod::Due due() { return {trained_.get(), learning_rate_, "d_grad_norm"}; }

  Discriminator network() const { return discriminator_; }
  TrainedNetwork* trained() const { return trained_.get(); }

 private:
  Discriminator discriminator_{nullptr};
  std::unique_ptr<TrainedNetwork> trained_;
  GanObjective objective_;
  double learning_rate_;
  int64_t start_epoch_, update_every_;
};

}  // namespace lpnsr
