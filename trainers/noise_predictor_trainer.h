#pragma once
// Algorithm 1: the noise predictor is trained end to end through the whole unrolled chain and the decoder, with the denoiser and the
// autoencoder frozen.
#include <memory>

#include "diffusion/sampler.h"
#include "trainers/method.h"
#include "trainers/perceptual_losses.h"
#include "trainers/trained_network.h"

namespace lpnsr {

class NoisePredictorTrainer : public TrainingMethod {
 public:
  struct Networks {
    SwinUNet denoiser{nullptr};
    NoisePredictor predictor{nullptr};
    Autoencoder autoencoder{nullptr};
  };
  NoisePredictorTrainer(const Experiment& experiment, Networks networks, PerceptualLoss lpips, const Placement& placement = {});

  std::vector<Due> due(const StepPosition& position) override;
  // From here on the chain's normal draws are given ones: x_T's first, then one for each index from T-1 down.
  void replace_draws(DrawNormal draw) { given_draws_ = std::move(draw); }

  // What one pass through the chain gives before any update: latents, image and the terms of Eq. 12.
  struct Forward {
    at::Tensor z_y, x0, image;
    at::Tensor l1, lpips, gan, total;  // lpips and gan are undefined where their weight is 0 or the game is not on
    at::Tensor real, fake;             // what the discriminator sees; undefined where the game is not on
  };
  Forward forward(const Batch& batch, bool adversarial, const DrawNormal& draw, const std::function<void(const ChainState&)>& observe = {});

  std::vector<Member> trained() const override;
  at::Tensor restored(const Batch& batch) override;
  Adversary* adversary() { return adversary_.get(); }  // null where its weight is 0

 protected:
  std::vector<at::Tensor> draws(const Part& part, const StepPosition& position) override;
  int64_t kind(const StepPosition& position) const override { return 2 * discriminators_turn(position) + adversarial(position); }
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) override;

 private:
  bool adversarial(const StepPosition& position) const { return adversary_ && adversary_->playing(position); }
  // As published, the discriminator's iterations leave the predictor alone even while the game is not on yet.
  bool discriminators_turn(const StepPosition& position) const { return adversary_ && adversary_->discriminators_turn(position.iteration); }

  Experiment experiment_;
  DrawNormal given_draws_;
  c10::Device device_;
  c10::ScalarType precision_;
  Networks networks_;
  Sampler chain_;
  PerceptualLoss lpips_;
  std::unique_ptr<Adversary> adversary_;
  std::unique_ptr<TrainedNetwork> predictor_;
};

}  // namespace lpnsr
