#pragma once
// The PatchGAN discriminator with spectral norm in its hook form (names: model.N.bias, weight_orig, weight_u, weight_v), and the
// adversarial losses.
#include <string>

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>

#include "core/config.h"

namespace lpnsr {

struct DiscriminatorOptions {
  int64_t input_nc = 3;
  int64_t ndf = 64;
  int64_t n_layers = 3;
  std::string norm = "spectral";  // spectral | batch | instance | none
  void fields(FieldVisitor& v);
};

class DiscriminatorImpl : public torch::nn::Module {
 public:
  explicit DiscriminatorImpl(const DiscriminatorOptions& options);
  at::Tensor forward(const at::Tensor& image);  // [N,3,H,W] -> logits [N,1,h,w]; in train mode each call makes one power iteration
  const DiscriminatorOptions& options() const { return options_; }

 private:
  DiscriminatorOptions options_;
  torch::nn::Sequential model_;
};
TORCH_MODULE(Discriminator);

enum class GanObjective { hinge, vanilla, lsgan, wgan };
GanObjective parse_gan_objective(const std::string& name);
// Generator's term of Eq. 12, and the discriminator's (half the sum of the real and the fake part).
at::Tensor generator_loss(const at::Tensor& fake_logits, GanObjective objective);
struct DiscriminatorLoss {
  at::Tensor total, real, fake;
};
DiscriminatorLoss discriminator_loss(const at::Tensor& real_logits, const at::Tensor& fake_logits, GanObjective objective);

}  // namespace lpnsr
