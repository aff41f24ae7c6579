#include "trainers/rsd_trainer.h"

#include "core/autocast.h"
#include "core/device.h"
#include "core/random.h"
#include "losses/discriminator.h"
#include "trainers/latents.h"

namespace lpnsr {
namespace {

// While it lives gradients pass through a network but not into it, so that the student's step leaves none behind.
class PassThrough {
 public:
  explicit PassThrough(torch::nn::Module& network) : parameters_(network.parameters()) { learn(false); }
  ~PassThrough() { learn(true); }
  PassThrough(const PassThrough&) = delete;
  PassThrough& operator=(const PassThrough&) = delete;

 private:
  void learn(bool yes) {
    for (auto& parameter : parameters_) parameter.requires_grad_(yes);
  }
  std::vector<at::Tensor> parameters_;
};

}  // namespace

FakeNetwork::FakeNetwork(SwinUNet fake, EncoderHead discriminator) : network(std::move(fake)), head(std::move(discriminator)) {
  register_module("network", network);
  if (!head.is_empty()) register_module("head", head);
}

RsdTrainer::RsdTrainer(const Experiment& experiment, Networks networks, PerceptualLoss lpips, const Placement& placement)
    : TrainingMethod(placement.recorder),
      experiment_(experiment),
      device_(placement.device),
      precision_(experiment.training.computed_in(placement.device)),
      networks_(std::move(networks)),
      lpips_(std::move(lpips)),
      process_(make_schedule(experiment.system.schedule)) {
  freeze(*networks_.teacher);
  freeze(*networks_.autoencoder);
  const Recomputed recomputed = parse_recomputed(experiment.training.recompute);
  for (auto* network : {&networks_.student, &networks_.fake->network}) (*network)->recompute(recomputed);
  networks_.teacher->recompute(of_frozen(recomputed));
  student_ = std::make_unique<TrainedNetwork>(networks_.student.ptr(), experiment, experiment.optimizer.ema_rate, placement);
  fake_ = std::make_unique<TrainedNetwork>(networks_.fake, experiment, /*ema_rate=*/0.0, placement);
}

RsdTrainer::Latents RsdTrainer::encode(const Batch& batch) {
  const bool reads_truth = experiment_.distillation.start == "truth" || !networks_.fake->head.is_empty();
  return {reads_truth ? latent_of_truth(networks_.autoencoder, batch) : at::Tensor(), latent_of_bicubic(networks_.autoencoder, batch),
          batch.lr * 2 - 1, batch.hr * 2 - 1};
}

RsdTrainer::Draws RsdTrainer::draw(const Part& part, const StepPosition& position) const {
  at::Generator generator = generator_of_iteration(experiment_, position);
  const int64_t count = part.batch.hr.size(0);
  const auto integers = [&](int64_t end) {
    return torch::randint(end, {part.total}, generator, torch::kInt64).narrow(0, part.first, count);
  };
  const at::Tensor nodes = torch::tensor(experiment_.distillation.nodes, torch::kInt64) - 1;
  Draws draws;
  draws.t_n = sent_to(nodes.index_select(0, integers(nodes.size(0))), device_);
  draws.t = sent_to(integers(process_.steps()), device_);
  const DrawNormal normal = normals_for(part, generator);
  auto shape = latent_shape(part.batch, experiment_.system);
  for (at::Tensor* eps : {&draws.eps_n, &draws.eps_t, &draws.eps_T}) *eps = normal(shape);
  shape[1] = networks_.student.ptr()->options().noise_channels;
  if (shape[1] > 0) {
    for (at::Tensor* noise : {&draws.noise_n, &draws.noise_T}) *noise = normal(shape);
  }
  return draws;
}

at::Tensor RsdTrainer::predict(SwinUNet& network, const at::Tensor& z_t, const at::Tensor& t, const at::Tensor& lq,
                               const at::Tensor& noise) {
  return network->forward(process_.scale_input(z_t, t), process_.timesteps(t), lq, noise);
}

at::Tensor RsdTrainer::logits(const at::Tensor& z0, const at::Tensor& lq) {
  const at::Tensor first = torch::zeros({z0.size(0)}, at::TensorOptions(torch::kInt64).device(z0.device()));
  const bool middle = experiment_.distillation.features == "middle";
  return networks_.fake->head->forward(
      networks_.fake->network->features(process_.scale_input(z0, first), process_.timesteps(first), lq, middle));
}

at::Tensor RsdTrainer::students_input(const Latents& batch, const Draws& draws) const {
  if (experiment_.distillation.start == "prior") return process_.prior_sample(batch.z_y, draws.eps_T, process_.steps() - 1);
  return process_.q_sample(batch.z0, batch.z_y, draws.t_n, draws.eps_n);
}

RsdTrainer::FakeStep RsdTrainer::fake_step(const Latents& batch, const Draws& draws) {
  FakeStep step;
  {
    const torch::NoGradGuard frozen;
    step.z_n = students_input(batch, draws);
    step.z0 = predict(networks_.student, step.z_n, draws.t_n, batch.lq, draws.noise_n);
    step.z_t = process_.q_sample(step.z0, batch.z_y, draws.t, draws.eps_t);
  }
  step.prediction = predict(networks_.fake->network, step.z_t, draws.t, batch.lq);
  step.loss = squared_error(step.prediction, step.z0);
  step.total = step.loss.mean();
  if (networks_.fake->head.is_empty()) return step;
  step.logits_fake = logits(step.z0, batch.lq);
  step.logits_real = logits(batch.z0, batch.lq);
  const DiscriminatorLoss loss = discriminator_loss(step.logits_real, step.logits_fake, GanObjective::vanilla);
  step.adversarial = loss.real + loss.fake;
  step.total = step.total + experiment_.losses.gan * step.adversarial;
  return step;
}

RsdTrainer::StudentStep RsdTrainer::student_step(const Latents& batch, const Draws& draws) {
  StudentStep step;
  const PassThrough through_fake(*networks_.fake);
  step.z_n = students_input(batch, draws);
  step.z0 = predict(networks_.student, step.z_n, draws.t_n, batch.lq, draws.noise_n);
  step.z_t = process_.q_sample(step.z0, batch.z_y, draws.t, draws.eps_t);
  {
    // The gradient that stays without these two paths is 2 (f_phi - f*): variational score distillation.
    const torch::AutoGradMode through(torch::GradMode::is_enabled() && !experiment_.distillation.stop_gradient);
    step.teacher = predict(networks_.teacher, step.z_t, draws.t, batch.lq);
    step.fake = predict(networks_.fake->network, step.z_t, draws.t, batch.lq);
  }
  step.theta = rsd_loss(step.teacher, step.fake, step.z0);
  step.normaliser = sid_normaliser(step.teacher, step.z0);
  step.total = (experiment_.distillation.normalise ? step.theta / step.normaliser : step.theta).mean();
  if (lpips_.active()) {
    const int64_t last = process_.steps() - 1;
    const at::Tensor t_T = torch::full_like(draws.t_n, last);
    step.z_T = process_.prior_sample(batch.z_y, draws.eps_T, last);
    step.z0_T = predict(networks_.student, step.z_T, t_T, batch.lq, draws.noise_T);
    step.image = networks_.autoencoder->decode(step.z0_T);
    step.lpips = lpips_.each(step.image, batch.hr);
    step.total = step.total + experiment_.losses.lpips * step.lpips.mean();
  }
  if (!networks_.fake->head.is_empty()) {
    step.logits = logits(step.z0, batch.lq);
    step.adversarial = generator_loss(step.logits, GanObjective::vanilla);
    step.total = step.total + experiment_.losses.gan * step.adversarial;
  }
  return step;
}

bool RsdTrainer::students_turn(const StepPosition& position) const {
  const int64_t updates = experiment_.distillation.fake_updates;
  return position.iteration % (updates + 1) == updates;
}

std::vector<TrainingMethod::Due> RsdTrainer::due(const StepPosition& position) {
  if (students_turn(position)) return {{student_.get(), position.learning_rate, "grad_norm"}};
  return {{fake_.get(), position.learning_rate, "fake_grad_norm"}};
}

std::vector<at::Tensor> RsdTrainer::draws(const Part& part, const StepPosition& position) {
  const Draws d = draw(part, position);
  return {d.t_n, d.t, d.eps_n, d.eps_t, d.eps_T, d.noise_n, d.noise_T};
}

Scalars RsdTrainer::passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>& given) {
  const Draws draws{given[0], given[1], given[2], given[3], given[4], given[5], given[6]};
  const Latents batch = encode(part.batch);
  Scalars scalars;
  const AutocastScope autocast(device_, precision_);
  if (students_turn(position)) {
    const StudentStep step = student_step(batch, draws);
    scalars.add("total", step.total);
    scalars.add("theta", step.theta.mean());
    if (step.lpips.defined()) scalars.add("lpips", step.lpips.mean());
    if (step.adversarial.defined()) scalars.add("g_loss", step.adversarial);
    student_->backward(step.total, part.of_many, part.last());
  } else {
    const FakeStep step = fake_step(batch, draws);
    scalars.add("fake_total", step.total);
    scalars.add("fake", step.loss.mean());
    if (step.adversarial.defined()) scalars.add("d_loss", step.adversarial);
    fake_->backward(step.total, part.of_many, part.last());
  }
  return scalars;
}

at::Tensor RsdTrainer::restored(const Batch& batch) {
  SamplerOptions options;
  options.method = "one_step";
  return restored_by(batch, process_, networks_.student, options, networks_.autoencoder, experiment_);
}

}  // namespace lpnsr
