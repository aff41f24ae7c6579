#include "trainers/sinsr_trainer.h"

#include "core/autocast.h"
#include "core/random.h"
#include "losses/distillation.h"
#include "trainers/latents.h"

namespace lpnsr {

SinSRTrainer::SinSRTrainer(const Experiment& experiment, Networks networks, const Placement& placement)
    : TrainingMethod(placement.recorder),
      experiment_(experiment),
      device_(placement.device),
      precision_(experiment.training.computed_in(placement.device)),
      networks_(std::move(networks)),
      process_(make_schedule(experiment.system.schedule)) {
  freeze(*networks_.teacher);
  freeze(*networks_.autoencoder);
  networks_.student->recompute(parse_recomputed(experiment.training.recompute));
  trained_ = std::make_unique<TrainedNetwork>(networks_.student.ptr(), experiment, experiment.optimizer.ema_rate, placement);
}

at::Tensor SinSRTrainer::student(const at::Tensor& x, int64_t t, const at::Tensor& lq) {
  const at::Tensor timestep = torch::tensor({process_.schedule().timestep[static_cast<size_t>(t)]}, torch::kInt64);
  return networks_.student->forward(process_.scale_input(x, process_.steps() - 1), timestep, lq);
}

SinSRTrainer::Losses SinSRTrainer::losses(const Batch& batch, const at::Tensor& noise,
                                          const std::function<void(const ChainState&)>& observe_teacher) {
  const int64_t last = process_.steps() - 1;
  const at::Tensor lq = batch.lr * 2 - 1;
  Losses result;
  {
    const torch::NoGradGuard frozen;
    if (experiment_.distillation.truth > 0) result.z0 = latent_of_truth(networks_.autoencoder, batch);
    result.z_y = latent_of_bicubic(networks_.autoencoder, batch);
  }
  const AutocastScope autocast(device_, precision_);
  {
    const torch::NoGradGuard frozen;
    result.z_T = process_.prior_sample(result.z_y, noise, last);
    SamplerOptions options;
    options.method = "deterministic";
    const Sampler teacher(process_, networks_.teacher, NoisePredictor(nullptr), options);
    result.z0_teacher = teacher.sample(
        {lq, result.z_y, {}}, [&noise](at::IntArrayRef) { return noise; }, observe_teacher);
  }
  result.forward = student(result.z_T, last, lq);
  result.distillation = squared_error(result.forward, result.z0_teacher);
  result.total = result.distillation;
  const DistillationOptions& weights = experiment_.distillation;
  if (weights.inversion > 0) {
    result.inverse = student(result.z0_teacher, 0, lq);
    result.inversion = squared_error(result.inverse, result.z_T);
    result.total = result.total + weights.inversion * result.inversion;
  }
  if (weights.truth > 0) {
    {
      const torch::NoGradGuard frozen;
      result.of_truth = student(result.z0, 0, lq);
    }
    result.again = student(result.of_truth, last, lq);
    result.truth = squared_error(result.again, result.z0);
    result.total = result.total + weights.truth * result.truth;
  }
  return result;
}

std::vector<at::Tensor> SinSRTrainer::draws(const Part& part, const StepPosition& position) {
  return {normals_of_iteration(part, experiment_, position)(latent_shape(part.batch, experiment_.system))};
}

Scalars SinSRTrainer::passes(const Part& part, const StepPosition&, const std::vector<at::Tensor>& draws) {
  const Losses all = losses(part.batch, draws[0]);
  Scalars scalars;
  const at::Tensor total = all.total.mean();
  scalars.add("total", total);
  scalars.add("distillation", all.distillation.mean());
  if (all.inversion.defined()) scalars.add("inversion", all.inversion.mean());
  if (all.truth.defined()) scalars.add("truth", all.truth.mean());
  trained_->backward(total, part.of_many, part.last());
  return scalars;
}

at::Tensor SinSRTrainer::restored(const Batch& batch) {
  SamplerOptions options;
  options.method = "one_step";
  return restored_by(batch, process_, networks_.student, options, networks_.autoencoder, experiment_);
}

}  // namespace lpnsr
