#include "trainers/autoencoder_trainer.h"

#include "core/autocast.h"
#include "core/random.h"
#include "losses/l1.h"

namespace lpnsr {

AutoencoderTrainer::AutoencoderTrainer(const Experiment& experiment, Autoencoder autoencoder, PerceptualLoss lpips,
                                       const Placement& placement)
    : experiment_(experiment),
      device_(placement.device),
      precision_(experiment.training.computed_in(placement.device)),
      ranks_(placement.ranks),
      autoencoder_(std::move(autoencoder)),
      lpips_(std::move(lpips)),
      code_uses_(torch::zeros({experiment.system.autoencoder.n_embed}, torch::kInt64)),
      latent_mean_(torch::zeros({experiment.system.autoencoder.embed_dim})),
      latent_variance_(torch::ones({experiment.system.autoencoder.embed_dim})) {
  // The codebook has no gradient while nothing is quantised.
  const Gradients gradients = experiment.training.quantise_after > 0 ? Gradients::some : Gradients::all;
  const Placement without_graphs{placement.device, placement.ranks};  // codes are counted on the host
  trained_ = std::make_unique<TrainedNetwork>(autoencoder_.ptr(), experiment, experiment.optimizer.ema_rate, without_graphs, gradients);
  if (experiment.losses.gan > 0) {
    adversary_ = std::make_unique<Adversary>(
        experiment, stream_seed(static_cast<uint64_t>(experiment.seed), "discriminator's initial weights"), without_graphs);
  }
}

std::vector<TrainingMethod::Due> AutoencoderTrainer::due(const StepPosition& position) {
  std::vector<Due> networks{{trained_.get(), position.learning_rate, "grad_norm"}};
  // Both sides move at each iteration, as VQGAN is trained.
  if (adversary_ && adversary_->playing(position)) networks.push_back(adversary_->due());
  return networks;
}

Scalars AutoencoderTrainer::passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>&) {
  Scalars scalars;
  const LossOptions& weights = experiment_.losses;
  const bool adversarial = adversary_ && adversary_->playing(position);
  const at::Tensor hr = part.batch.hr * 2 - 1;

  const int64_t unquantised = experiment_.training.quantise_after;
  const bool quantises = quantises_ = position.iteration >= unquantised;
  if (unquantised > 0 && position.iteration == unquantised && part.number == 0) {
    begin_quantisation(hr, static_cast<uint64_t>(position.iteration));
  }
  const AutocastScope autocast(device_, precision_);
  const at::Tensor latent = autoencoder_->encode(hr);
  Quantised quantised;
  if (quantises) {
    quantised = autoencoder_->quantise(latent);
    code_uses_.add_(torch::bincount(quantised.indices.flatten().to(torch::kCPU), {}, code_uses_.size(0)));
    latent_ = latent.detach();
  } else {
    observe(latent.detach());
  }
  const at::Tensor image = autoencoder_->decode_not_quantised(quantises ? quantised.latent : latent);
  const at::Tensor l1 = lpnsr::l1_loss(image / 2 + 0.5, part.batch.hr);
  at::Tensor total = weights.l1 * l1;
  scalars.add("l1", l1);
  if (quantises) {
    total = total + weights.codebook * quantised.commitment_loss;
    scalars.add("codebook", quantised.commitment_loss);
  }
  if (lpips_.active()) {
    const at::Tensor lpips = lpips_.mean(image, hr);
    total = total + weights.lpips * lpips;
    scalars.add("lpips", lpips);
  }
  if (adversarial) {
    const at::Tensor gan = adversary_->generator_term(image / 2 + 0.5);
    total = total + weights.gan * gan;
    scalars.add("g_loss", gan);
  }
  scalars.add("total", total);
  trained_->backward(total, part.of_many, part.last());
  if (adversarial) adversary_->accumulate(part.batch.hr, image / 2 + 0.5, part, scalars);
  return scalars;
}

void AutoencoderTrainer::updated(const StepPosition& position, Metrics& metrics) {
  const int64_t every = experiment_.training.restart_codes_every;
  if (!quantises_ || every == 0 || (position.iteration + 1) % every != 0) return;
  ranks_.sum(code_uses_);
  metrics["codes_used"] = static_cast<double>((code_uses_ > 0).sum().item<int64_t>());
  restart_unused_codes(latent_, static_cast<uint64_t>(position.iteration));
}

void AutoencoderTrainer::observe(const at::Tensor& latent) {
  constexpr double share = 0.01;
  latent_mean_.lerp_(latent.mean({0, 2, 3}).cpu(), share);
  latent_variance_.lerp_(latent.var(c10::IntArrayRef{2, 3}).mean(0).cpu(), share);
}

void AutoencoderTrainer::begin_quantisation(const at::Tensor& image, uint64_t iteration) {
  const torch::NoGradGuard no_grad;
  for (const at::Tensor& average : {latent_mean_, latent_variance_}) {
    ranks_.sum(average);
    average.div_(ranks_.count());
  }
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
  codes.index_copy_(0, unused.to(codes.device()), candidates.index_select(0, chosen).to(codes.scalar_type()));
  ranks_.copy_from_first(codes);
}

std::vector<TrainingMethod::Member> AutoencoderTrainer::trained() const {
  std::vector<Member> members{{"autoencoder", trained_.get()}};
  if (adversary_) members.push_back({"discriminator", adversary_->trained()});
  return members;
}

StateDict AutoencoderTrainer::save() const {
  StateDict saved = TrainingMethod::save();
  saved.add("code_uses", code_uses_.clone());
  saved.add("latent_mean", latent_mean_.clone());
  saved.add("latent_variance", latent_variance_.clone());
  return saved;
}

void AutoencoderTrainer::load(const StateDict& saved, const std::string& origin) {
  TrainingMethod::load(saved, origin);
  code_uses_.copy_(saved.at("code_uses"));
  latent_mean_.copy_(saved.at("latent_mean"));
  latent_variance_.copy_(saved.at("latent_variance"));
}

at::Tensor AutoencoderTrainer::restored(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const at::Tensor latent = autoencoder_->encode(batch.hr * 2 - 1);
  return ((quantises_ ? autoencoder_->decode(latent) : autoencoder_->decode_not_quantised(latent)) / 2 + 0.5).clamp(0, 1);
}

}  // namespace lpnsr
