#pragma once
// SinSR: a one-step student learns where its teacher's deterministic chain ends, the way back, and to stay with the true picture.
#include <functional>
#include <memory>

#include "diffusion/autoencoder.h"
#include "diffusion/sampler.h"
#include "trainers/method.h"
#include "trainers/trained_network.h"

namespace lpnsr {

class SinSRTrainer : public TrainingMethod {
 public:
  struct Networks {
    SwinUNet student{nullptr}, teacher{nullptr};
    Autoencoder autoencoder{nullptr};
  };
  SinSRTrainer(const Experiment& experiment, Networks networks, const Placement& placement = {});

  // Terms of each picture [N] for given noise of z_T, in latent space; undefined where their weight is 0.
  struct Losses {
    at::Tensor z_y, z0, z_T, z0_teacher;           // z0: of the true picture
    at::Tensor forward, inverse, of_truth, again;  // the student's four answers in their order
    at::Tensor distillation, inversion, truth, total;
  };
  Losses losses(const Batch& batch, const at::Tensor& noise, const std::function<void(const ChainState&)>& observe_teacher = {});

  std::vector<Due> due(const StepPosition& position) override { return {{trained_.get(), position.learning_rate, "grad_norm"}}; }
  std::vector<Member> trained() const override { return {{"student", trained_.get(), "as the teacher"}}; }
  at::Tensor restored(const Batch& batch) override;

 protected:
  std::vector<at::Tensor> draws(const Part& part, const StepPosition& position) override;  // noise of z_T
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& draws) override;

 private:
  // f(x, t). The input is divided by what belongs to T, whatever t is: so the released code does, and so its weights were made.
  at::Tensor student(const at::Tensor& x, int64_t t, const at::Tensor& lq);

  Experiment experiment_;
  c10::Device device_;
  c10::ScalarType precision_;
  Networks networks_;
  ResidualShift process_;
  std::unique_ptr<TrainedNetwork> trained_;
};

}  // namespace lpnsr
