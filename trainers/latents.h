#pragma once
// What the trainers in latent space share.
#include "diffusion/process.h"
#include "diffusion/system.h"
#include "trainers/method.h"

namespace lpnsr {

// E(HR) and E(bicubic enlargement of LR), [N,C,h,w], not quantised; no gradients.
at::Tensor latent_of_truth(Autoencoder& autoencoder, const Batch& batch);
at::Tensor latent_of_bicubic(Autoencoder& autoencoder, const Batch& batch);
// [N,C,h,w] of the latents of a batch.
std::vector<int64_t> latent_shape(const Batch& batch, const SystemOptions& system);

at::Generator generator_of_iteration(const Experiment& experiment, const StepPosition& position);
DrawNormal normals_of_iteration(const Part& part, const Experiment& experiment, const StepPosition& position);

// The noise of sample pictures: always the same.
DrawNormal normals_of_samples(const Batch& batch, const Experiment& experiment);
// What a denoiser makes of a batch from its bicubic start without a noise predictor, [N,3,H,W] in [0,1].
at::Tensor restored_by(const Batch& batch, const ResidualShift& process, const SwinUNet& denoiser, const SamplerOptions& options,
                       Autoencoder& autoencoder, const Experiment& experiment);

}  // namespace lpnsr
