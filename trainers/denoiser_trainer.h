#pragma once
// ResShift's own training of f_theta: x0 is predicted from one random step of the forward process (Eq. 2), squared error in latent space
// and, as the published 4-step model, LPIPS on the decoded prediction.
#include <memory>

#include "diffusion/autoencoder.h"
#include "diffusion/process.h"
#include "trainers/method.h"
#include "trainers/perceptual_losses.h"
#include "trainers/trained_network.h"

namespace lpnsr {

class DenoiserTrainer : public TrainingMethod {
 public:
  DenoiserTrainer(const Experiment& experiment, SwinUNet denoiser, Autoencoder autoencoder, PerceptualLoss lpips,
                  const Placement& placement = {});

  // Losses of each picture for given indices t [N] and noise; mean over the batch is the step's loss.
  struct Losses {
    at::Tensor z_t, x0, mse, lpips, total;  // mse, lpips, total: [N]; lpips undefined where its weight is 0
  };
  Losses losses(const Batch& batch, const at::Tensor& t, const at::Tensor& noise);

  std::vector<Due> due(const StepPosition& position) override { return {{trained_.get(), position.learning_rate, "grad_norm"}}; }
  std::vector<Member> trained() const override { return {{"denoiser", trained_.get()}}; }
  at::Tensor restored(const Batch& batch) override;

 protected:
  std::vector<at::Tensor> draws(const Part& part, const StepPosition& position) override;  // t [N], noise
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) override;

 private:
  Experiment experiment_;
  c10::Device device_;
  c10::ScalarType precision_;
  ResidualShift process_;
  SwinUNet denoiser_;
  Autoencoder autoencoder_;
  PerceptualLoss lpips_;
  std::unique_ptr<TrainedNetwork> trained_;
};

}  // namespace lpnsr
