#include "trainers/autoencoder_trainer.h"

#include "core/image.h"
#include "core/random.h"
#include "losses/l1.h"

namespace lpnsr {

AutoencoderTrainer::AutoencoderTrainer(const Experiment& experiment, Autoencoder autoencoder, PerceptualLoss lpips)
    : experiment_(experiment),
      autoencoder_(std::move(autoencoder)),
      lpips_(std::move(lpips)),
      code_uses_(torch::zeros({experiment.system.autoencoder.n_embed}, torch::kInt64)),
      latent_mean_(torch::zeros({experiment.system.autoencoder.embed_dim})),
      latent_variance_(torch::ones({experiment.system.autoencoder.embed_dim})) {
  trained_ = std::make_unique<TrainedNetwork>(autoencoder_.ptr(), experiment.optimizer, experiment.optimizer.ema_rate);
  if (experiment.losses.gan > 0) {
    adversary_ =
        std::make_unique<Adversary>(experiment, stream_seed(static_cast<uint64_t>(experiment.seed), "discriminator's initial weights"));
  }
}

Metrics AutoencoderTrainer::step(const Batch& batch, const StepPosition& position) {
  const LossOptions& weights = experiment_.losses;
  const bool adversarial = adversary_ && adversary_->playing(position);
  const at::Tensor hr = batch.hr * 2 - 1;

  const int64_t unquantised = experiment_.training.quantise_after;
  const bool quantises = quantises_ = position.iteration >= unquantised;
  if (unquantised > 0 && position.iteration == unquantised) begin_quantisation(hr, static_cast<uint64_t>(position.iteration));
  const at::Tensor latent = autoencoder_->encode(hr);
  Quantised quantised;
  if (quantises) {
    quantised = autoencoder_->quantise(latent);
  } else {
    observe(latent.detach());
  }
  const at::Tensor image = autoencoder_->decode_not_quantised(quantises ? quantised.latent : latent);
  const at::Tensor l1 = lpnsr::l1_loss(image / 2 + 0.5, batch.hr);
  at::Tensor total = weights.l1 * l1;
  Metrics metrics{{"l1", l1.item<double>()}};
  if (quantises) {
    total = total + weights.codebook * quantised.commitment_loss;
    metrics["codebook"] = quantised.commitment_loss.item<double>();
  }
  if (lpips_.active()) {
    const at::Tensor lpips = lpips_.mean(image, hr);
    total = total + weights.lpips * lpips;
    metrics["lpips"] = lpips.item<double>();
  }
  if (adversarial) {
    const at::Tensor gan = adversary_->generator_term(image / 2 + 0.5);
    total = total + weights.gan * gan;
    metrics["g_loss"] = gan.item<double>();
  }
  metrics["total"] = total.item<double>();
  trained_->zero_grad();
  total.backward();
  metrics["grad_norm"] = trained_->update(position.learning_rate);
  // Both sides move at each iteration, as VQGAN is trained.
  if (adversarial) adversary_->update(batch.hr, image / 2 + 0.5, metrics);

  if (!quantises) return metrics;
  code_uses_.add_(torch::bincount(quantised.indices.flatten().to(torch::kCPU), {}, code_uses_.size(0)));
  const int64_t every = experiment_.training.restart_codes_every;
  if (every > 0 && (position.iteration + 1) % every == 0) {
    metrics["codes_used"] = static_cast<double>((code_uses_ > 0).sum().item<int64_t>());
    restart_unused_codes(latent.detach(), static_cast<uint64_t>(position.iteration));
  }
  return metrics;
}

void AutoencoderTrainer::observe(const at::Tensor& latent) {
  constexpr double share = 0.01;
  latent_mean_.lerp_(latent.mean({0, 2, 3}).cpu(), share);
  latent_variance_.lerp_(latent.var(c10::IntArrayRef{2, 3}).mean(0).cpu(), share);
}

void AutoencoderTrainer::begin_quantisation(const at::Tensor& image, uint64_t iteration) {
  const torch::NoGradGuard no_grad;
  auto parameters = autoencoder_->named_parameters();
  const at::Tensor mean = latent_mean_.to(image.device()), deviation = latent_variance_.sqrt().clamp_min(1e-6).to(image.device());
  // z' = (z - mean) / deviation before the codes, z = deviation z' + mean behind them.
  parameters["quant_conv.weight"].div_(deviation.view({-1, 1, 1, 1}));
  parameters["quant_conv.bias"].sub_(mean).div_(deviation);
  at::Tensor after = parameters["post_quant_conv.weight"];
  parameters["post_quant_conv.bias"].add_(at::matmul(after.flatten(1), mean));
  after.mul_(deviation.view({1, -1, 1, 1}));
  code_uses_.zero_();
  restart_unused_codes(autoencoder_->encode(image), iteration);
}

void AutoencoderTrainer::restart_unused_codes(const at::Tensor& latent, uint64_t iteration) {
  const torch::NoGradGuard no_grad;
  const at::Tensor unused = torch::nonzero(code_uses_ == 0).flatten();
  code_uses_.zero_();
  if (unused.numel() == 0) return;
  at::Tensor codes = autoencoder_->named_parameters()["quantize.embedding.weight"];
  const at::Tensor candidates = latent.permute({0, 2, 3, 1}).reshape({-1, codes.size(1)});
  at::Generator generator = make_generator(stream_seed(static_cast<uint64_t>(experiment_.seed), "code restarts", {iteration}));
  const at::Tensor chosen = torch::randint(candidates.size(0), {unused.numel()}, generator, torch::kInt64).to(codes.device());
  codes.index_copy_(0, unused.to(codes.device()), candidates.index_select(0, chosen));
}

StateDict AutoencoderTrainer::save() const {
  StateDict saved = trained_->save().with_prefix("autoencoder/");
  saved.add("code_uses", code_uses_.clone());
  saved.add("latent_mean", latent_mean_.clone());
  saved.add("latent_variance", latent_variance_.clone());
  if (adversary_) {
    for (const auto& [key, tensor] : adversary_->save()) saved.add("discriminator/" + key, tensor);
  }
  return saved;
}

void AutoencoderTrainer::load(const StateDict& saved, const std::string& origin) {
  trained_->load(saved.below("autoencoder/"), origin);
  code_uses_.copy_(saved.at("code_uses"));
  latent_mean_.copy_(saved.at("latent_mean"));
  latent_variance_.copy_(saved.at("latent_variance"));
  if (adversary_) adversary_->load(saved.below("discriminator/"), origin);
}

at::Tensor AutoencoderTrainer::sample(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const at::Tensor latent = autoencoder_->encode(batch.hr * 2 - 1);
  const at::Tensor decoded =
      ((quantises_ ? autoencoder_->decode(latent) : autoencoder_->decode_not_quantised(latent)) / 2 + 0.5).clamp(0, 1);
  std::vector<at::Tensor> cells;
  for (int64_t i = 0; i < batch.hr.size(0); ++i) cells.insert(cells.end(), {decoded[i], batch.hr[i]});
  return image_grid(cells, 2);
}

}  // namespace lpnsr
