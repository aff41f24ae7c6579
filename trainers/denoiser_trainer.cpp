#include "trainers/denoiser_trainer.h"

#include <fmt/format.h>

#include "core/autocast.h"
#include "core/device.h"
#include "core/random.h"
#include "diffusion/sampler.h"
#include "trainers/latents.h"

namespace lpnsr {

DenoiserTrainer::DenoiserTrainer(const Experiment& experiment, SwinUNet denoiser, Autoencoder autoencoder, PerceptualLoss lpips,
                                 const Placement& placement)
    : TrainingMethod(placement.recorder),
      experiment_(experiment),
      device_(placement.device),
      precision_(experiment.training.computed_in(placement.device)),
      process_(make_schedule(experiment.system.schedule)),
      denoiser_(std::move(denoiser)),
      autoencoder_(std::move(autoencoder)),
      lpips_(std::move(lpips)) {
  freeze(*autoencoder_);
  denoiser_->recompute(parse_recomputed(experiment.training.recompute));
  trained_ = std::make_unique<TrainedNetwork>(denoiser_.ptr(), experiment, experiment.optimizer.ema_rate, placement);
}

DenoiserTrainer::Losses DenoiserTrainer::losses(const Batch& batch, const at::Tensor& t, const at::Tensor& noise) {
  Losses result;
  const at::Tensor hr = batch.hr * 2 - 1, lq = batch.lr * 2 - 1;
  const at::Tensor z_hr = latent_of_truth(autoencoder_, batch);
  result.z_t = process_.q_sample(z_hr, latent_of_bicubic(autoencoder_, batch), t, noise);
  const AutocastScope autocast(device_, precision_);
  result.x0 = denoiser_->forward(process_.scale_input(result.z_t, t), process_.timesteps(t), lq);
  result.mse = (result.x0 - z_hr).square().mean({1, 2, 3});
  result.total = experiment_.losses.mse * result.mse;
  if (lpips_.active()) {
    // The gradient flows through the frozen decoder, as published.
    result.lpips = lpips_.each(autoencoder_->decode(result.x0).clamp(-1.0, 1.0), hr);
    result.total = result.total + experiment_.losses.lpips * result.lpips;
  }
  return result;
}

std::vector<at::Tensor> DenoiserTrainer::draws(const Part& part, const StepPosition& position) {
  at::Generator generator = generator_of_iteration(experiment_, position);
  const at::Tensor t =
      torch::randint(process_.steps(), {part.total}, generator, torch::kInt64).narrow(0, part.first, part.batch.hr.size(0));
  return {sent_to(t, device_), normals_for(part, generator)(latent_shape(part.batch, experiment_.system))};
}

Scalars DenoiserTrainer::passes(const Part& part, const StepPosition&, const std::vector<at::Tensor>& draws) {
  const at::Tensor &t = draws[0], &noise = draws[1];
  const Losses all = losses(part.batch, t, noise);
  Scalars scalars;
  const at::Tensor total = all.total.mean();
  scalars.add("total", total);
  scalars.add("mse", all.mse.mean());
  // Per step t = 1..T, where the batch holds it: the steps differ by orders of magnitude, which the mean hides.
  for (int64_t step = 0; step < process_.steps(); ++step) {
    const at::Tensor of_step = (t == step).to(all.mse.scalar_type());
    scalars.add(fmt::format("mse_t{}", step + 1), (all.mse * of_step).sum(), of_step.sum());
  }
  if (all.lpips.defined()) scalars.add("lpips", all.lpips.mean());
  trained_->backward(total, part.of_many, part.last());
  return scalars;
}

at::Tensor DenoiserTrainer::restored(const Batch& batch) {
  SamplerOptions options;
  options.noise = "random";
  return restored_by(batch, process_, denoiser_, options, autoencoder_, experiment_);
}

}  // namespace lpnsr
