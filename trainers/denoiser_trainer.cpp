#include "trainers/denoiser_trainer.h"

#include <fmt/format.h>

#include "core/image.h"
#include "core/random.h"
#include "core/resize.h"
#include "diffusion/sampler.h"

namespace lpnsr {

DenoiserTrainer::DenoiserTrainer(const Experiment& experiment, SwinUNet denoiser, Autoencoder autoencoder, PerceptualLoss lpips)
    : experiment_(experiment),
      process_(make_schedule(experiment.system.schedule)),
      denoiser_(std::move(denoiser)),
      autoencoder_(std::move(autoencoder)),
      lpips_(std::move(lpips)) {
  for (auto& parameter : autoencoder_->parameters()) parameter.requires_grad_(false);
  denoiser_->set_checkpointing(experiment.training.recompute_activations);
  trained_ = std::make_unique<TrainedNetwork>(denoiser_.ptr(), experiment.optimizer, experiment.optimizer.ema_rate);
}

DenoiserTrainer::Losses DenoiserTrainer::losses(const Batch& batch, const at::Tensor& t, const at::Tensor& noise) {
  Losses result;
  const at::Tensor hr = batch.hr * 2 - 1, lq = batch.lr * 2 - 1;
  at::Tensor z_hr;
  {
    const torch::NoGradGuard frozen;
    z_hr = autoencoder_->encode(hr);
    const at::Tensor z_y = autoencoder_->encode(resize_bicubic(lq, hr.size(2), hr.size(3)));
    result.z_t = process_.q_sample(z_hr, z_y, t, noise);
  }
  const at::Tensor timesteps = torch::tensor(process_.schedule().timestep).index_select(0, t);
  result.x0 = denoiser_->forward(process_.scale_input(result.z_t, t), timesteps, lq);
  result.mse = (result.x0 - z_hr).square().mean({1, 2, 3});
  result.total = experiment_.losses.mse * result.mse;
  if (lpips_.active()) {
    // The gradient flows through the frozen decoder, as published.
    result.lpips = lpips_.each(autoencoder_->decode(result.x0).clamp(-1.0, 1.0), hr);
    result.total = result.total + experiment_.losses.lpips * result.lpips;
  }
  return result;
}

Metrics DenoiserTrainer::step(const Batch& batch, const StepPosition& position) {
  const int64_t count = batch.hr.size(0);
  const auto seed = static_cast<uint64_t>(experiment_.seed), iteration = static_cast<uint64_t>(position.iteration);
  at::Generator generator = make_generator(stream_seed(seed, "training noise", {iteration}));
  const at::Tensor t = torch::randint(process_.steps(), {count}, generator, torch::kInt64);
  const int64_t scale = experiment_.system.autoencoder.scale();
  const at::Tensor noise =
      torch::randn({count, experiment_.system.denoiser.in_channels, batch.hr.size(2) / scale, batch.hr.size(3) / scale}, generator);
  const Losses all = losses(batch, t, noise);
  const at::Tensor total = all.total.mean();
  trained_->zero_grad();
  total.backward();
  const at::Tensor mse = all.mse.detach().cpu();  // fetched from the device once
  Metrics metrics{{"total", total.item<double>()}, {"mse", mse.mean().item<double>()}};
  // Per step t = 1..T, where the batch holds it: the steps differ by orders of magnitude, which the mean hides.
  for (int64_t step = 0; step < process_.steps(); ++step) {
    const at::Tensor of_step = mse.masked_select(t == step);
    if (of_step.numel() > 0) metrics[fmt::format("mse_t{}", step + 1)] = of_step.mean().item<double>();
  }
  if (all.lpips.defined()) metrics["lpips"] = all.lpips.mean().item<double>();
  metrics["grad_norm"] = trained_->update(position.learning_rate);
  return metrics;
}

at::Tensor DenoiserTrainer::sample(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const at::Tensor lq = batch.lr * 2 - 1;
  const at::Tensor bicubic = resize_bicubic(lq, batch.hr.size(2), batch.hr.size(3));
  const at::Tensor z_y = autoencoder_->encode(bicubic);
  at::Generator generator = make_generator(stream_seed(static_cast<uint64_t>(experiment_.seed), "sample noise"));
  SamplerOptions options;
  options.noise = "random";
  const Sampler sampler(process_, denoiser_, NoisePredictor(nullptr), options);
  const at::Tensor x0 = sampler.sample({lq, z_y, {}}, [&](at::IntArrayRef shape) { return torch::randn(shape, generator); });
  const at::Tensor restored = (autoencoder_->decode(x0) / 2 + 0.5).clamp(0, 1);
  std::vector<at::Tensor> cells;
  for (int64_t i = 0; i < batch.hr.size(0); ++i) cells.insert(cells.end(), {(bicubic[i] / 2 + 0.5).clamp(0, 1), restored[i], batch.hr[i]});
  return image_grid(cells, 3);
}

}  // namespace lpnsr
