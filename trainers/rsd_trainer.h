#pragma once
// RSD (Residual Shifting Distillation): a one-step student G, the frozen teacher f* and a fake ResShift network f_phi that follows what the
// student makes (docs/rsd.md). K iterations update the fake network with the discriminator's head on it, the next one the student, each on
// a batch of its own. With distillation.stop_gradient, one node and no other losses it is ResShift-VSD.
#include <memory>

#include "diffusion/autoencoder.h"
#include "diffusion/process.h"
#include "losses/distillation.h"
#include "trainers/method.h"
#include "trainers/perceptual_losses.h"
#include "trainers/trained_network.h"

namespace lpnsr {

// f_phi and the head on its encoder, which one optimiser updates. The head is null where there is no adversarial term.
struct FakeNetwork : torch::nn::Module {
  FakeNetwork(SwinUNet fake, EncoderHead discriminator);
  SwinUNet network;
  EncoderHead head;
};

class RsdTrainer : public TrainingMethod {
 public:
  struct Networks {
    SwinUNet student{nullptr}, teacher{nullptr};
    std::shared_ptr<FakeNetwork> fake;
    Autoencoder autoencoder{nullptr};
  };
  RsdTrainer(const Experiment& experiment, Networks networks, PerceptualLoss lpips, const Placement& placement = {});

  // A batch in latent space: the true picture's z0, the bicubic one's z_y, the condition and the true picture in [-1,1].
  struct Latents {
    at::Tensor z0, z_y, lq, hr;
  };
  Latents encode(const Batch& batch);
  // 0-based t_n and t [N], noise of q_sample at t_n and at t and of z_T [N,C,h,w], the student's noise input for t_n and for T (undefined
  // where it has none).
  struct Draws {
    at::Tensor t_n, t, eps_n, eps_t, eps_T, noise_n, noise_T;
  };
  Draws draw(const Part& part, const StepPosition& position) const;

  // Algorithm 1, the fake network's part: it learns to denoise what the student makes. Means over the batch are what is minimised.
  struct FakeStep {
    at::Tensor z_n, z0, z_t, prediction, loss;         // loss [N]
    at::Tensor logits_fake, logits_real, adversarial;  // undefined without the adversarial term
    at::Tensor total;
  };
  FakeStep fake_step(const Latents& batch, const Draws& draws);

  // Eq. 9. `theta` is Eq. 7 of each picture, before it is divided by `normaliser`.
  struct StudentStep {
    at::Tensor z_n, z0, z_t, teacher, fake, theta, normaliser;
    at::Tensor z_T, z0_T, image, lpips;  // undefined without LPIPS
    at::Tensor logits, adversarial;      // undefined without the adversarial term
    at::Tensor total;
  };
  StudentStep student_step(const Latents& batch, const Draws& draws);

  std::vector<Due> due(const StepPosition& position) override;
  std::vector<Member> trained() const override {
    return {{"student", student_.get(), "as the teacher"},
            {"fake", fake_.get(), networks_.fake->head.is_empty() ? "as the teacher" : "as the teacher, its head from the seed"}};
  }
  at::Tensor restored(const Batch& batch) override;

 protected:
  std::vector<at::Tensor> draws(const Part& part, const StepPosition& position) override;  // the members of Draws
  int64_t kind(const StepPosition& position) const override { return students_turn(position); }
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) override;

 private:
  bool students_turn(const StepPosition& position) const;
  // f(z_t, t, LR), the input scaled by its own t.
  at::Tensor predict(SwinUNet& network, const at::Tensor& z_t, const at::Tensor& t, const at::Tensor& lq, const at::Tensor& noise = {});
  at::Tensor students_input(const Latents& batch, const Draws& draws) const;
  at::Tensor logits(const at::Tensor& z0, const at::Tensor& lq);  // the head on the encoder's features of clean latents, t = 0

  Experiment experiment_;
  c10::Device device_;
  c10::ScalarType precision_;
  Networks networks_;
  PerceptualLoss lpips_;
  ResidualShift process_;
  std::unique_ptr<TrainedNetwork> student_, fake_;
};

}  // namespace lpnsr
