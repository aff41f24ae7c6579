#pragma once
// The VQ autoencoder: L1 + LPIPS + codebook loss + PatchGAN on images (VQGAN's game). The published weights need none of this; runs from
// scratch do.
#include <memory>

#include "diffusion/autoencoder.h"
#include "trainers/method.h"
#include "trainers/perceptual_losses.h"
#include "trainers/trained_network.h"

namespace lpnsr {

class AutoencoderTrainer : public TrainingMethod {
 public:
  AutoencoderTrainer(const Experiment& experiment, Autoencoder autoencoder, PerceptualLoss lpips, const Placement& placement = {});

  std::vector<Due> due(const StepPosition& position) override;
  void updated(const StepPosition& position, Metrics& metrics) override;
  std::vector<Member> trained() const override;
  StateDict save() const override;
  void load(const StateDict& saved, const std::string& origin) override;
  at::Tensor restored(const Batch& batch) override;

 protected:
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) override;

 private:
  // Running averages of the latents' mean and of their variance within a picture, of each channel.
  void observe(const at::Tensor& latent);
  // From here on the latents are quantised: each channel is brought to mean 0 and deviation 1 within a picture (what the decoder computes
  // stays the same, and the chain's noise, kappa sqrt(eta), has the scale of the structure that it hides), and the codes move onto latents.
  void begin_quantisation(const at::Tensor& image, uint64_t iteration);
  // Codes that no latent of any rank chose since the last restart move onto random latents of this batch (rank 0's), or the codebook
  // collapses at small sizes.
  void restart_unused_codes(const at::Tensor& latent, uint64_t iteration);

  Experiment experiment_;
  c10::Device device_;
  c10::ScalarType precision_;
  Ranks ranks_;
  Autoencoder autoencoder_;
  PerceptualLoss lpips_;
  std::unique_ptr<Adversary> adversary_;
  std::unique_ptr<TrainedNetwork> trained_;
  at::Tensor code_uses_;                      // int64 [n_embed] since the last restart
  at::Tensor latent_mean_, latent_variance_;  // [embed_dim], while nothing is quantised
  at::Tensor latent_;                         // of the last part
  bool quantises_ = true;                     // since the last step
};

}  // namespace lpnsr
