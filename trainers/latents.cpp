#include "trainers/latents.h"

#include "core/random.h"
#include "core/resize.h"
#include "diffusion/sampler.h"

namespace lpnsr {

at::Tensor latent_of_truth(Autoencoder& autoencoder, const Batch& batch) {
  const torch::NoGradGuard frozen;
  return autoencoder->encode(batch.hr * 2 - 1);
}

at::Tensor latent_of_bicubic(Autoencoder& autoencoder, const Batch& batch) {
  const torch::NoGradGuard frozen;
  return autoencoder->encode(resize_bicubic(batch.lr * 2 - 1, batch.hr.size(2), batch.hr.size(3)));
}

std::vector<int64_t> latent_shape(const Batch& batch, const SystemOptions& system) {
  const int64_t scale = system.autoencoder.scale();
  return {batch.hr.size(0), system.autoencoder.embed_dim, batch.hr.size(2) / scale, batch.hr.size(3) / scale};
}

at::Generator generator_of_iteration(const Experiment& experiment, const StepPosition& position) {
  return make_generator(stream_seed(static_cast<uint64_t>(experiment.seed), "training noise", {static_cast<uint64_t>(position.iteration)}));
}

DrawNormal normals_of_iteration(const Part& part, const Experiment& experiment, const StepPosition& position) {
  return normals_for(part, generator_of_iteration(experiment, position));
}

DrawNormal normals_of_samples(const Batch& batch, const Experiment& experiment) {
  const auto seed = stream_seed(static_cast<uint64_t>(experiment.seed), "sample noise");
  return normals_for({batch, 0, batch.hr.size(0)}, make_generator(seed));
}

at::Tensor restored_by(const Batch& batch, const ResidualShift& process, const SwinUNet& denoiser, const SamplerOptions& options,
                       Autoencoder& autoencoder, const Experiment& experiment) {
  const torch::NoGradGuard no_grad;
  const Sampler sampler(process, denoiser, NoisePredictor(nullptr), options);
  const at::Tensor x0 =
      sampler.sample({batch.lr * 2 - 1, latent_of_bicubic(autoencoder, batch), {}}, normals_of_samples(batch, experiment));
  return (autoencoder->decode(x0).to(torch::kFloat) / 2 + 0.5).clamp(0, 1);
}

}  // namespace lpnsr
