#include <fmt/ranges.h>

#include "core/device.h"
#include "core/error.h"
#include "core/random.h"
#include "trainers/autoencoder_trainer.h"
#include "trainers/denoiser_trainer.h"
#include "trainers/method.h"
#include "trainers/noise_predictor_trainer.h"
#include "trainers/rsd_trainer.h"
#include "trainers/sinsr_trainer.h"

namespace lpnsr {
namespace {

void check_graphs(const Experiment& experiment) {
  if (experiment.trainer == "autoencoder") {
    throw UsageError("training.cuda_graphs does not go with trainer = autoencoder: its iterations count the codes on the host");
  }
  const SystemOptions& system = experiment.system;
  if (std::max(system.denoiser.dropout, system.noise_predictor.dropout) > 0) {
    throw UsageError("training.cuda_graphs does not go with dropout: a graph would have to draw as its passes do");
  }
}

void check(const Experiment& experiment) {
  const int64_t scale = experiment.system.autoencoder.scale();
  const int64_t latent = experiment.data.crop_size / scale;
  if (experiment.data.crop_size % scale != 0) {
    throw UsageError("data.crop_size must be a multiple of the autoencoder's scale, " + std::to_string(scale));
  }
  if (experiment.degradation.scale != scale) {
    throw UsageError("degradation.scale must be the autoencoder's scale, " + std::to_string(scale) +
                     ": the LR picture is as large as the latent");
  }
  if (experiment.training.cuda_graphs) check_graphs(experiment);
  if (experiment.trainer == "autoencoder") return;
  const int64_t multiple = side_multiple(experiment.system.denoiser);
  if (latent % multiple != 0) {
    throw UsageError("data.crop_size / " + std::to_string(scale) + " = " + std::to_string(latent) + " must be a multiple of " +
                     std::to_string(multiple) + ", the side that every level of the denoiser accepts");
  }
  const LossOptions& losses = experiment.losses;
  if (experiment.trainer == "denoiser" && losses.mse <= 0 && losses.lpips <= 0) {
    throw UsageError("the denoiser's losses are all 0: give losses.mse or losses.lpips a weight");
  }
  if (experiment.trainer == "noise_predictor" && losses.l1 <= 0 && losses.lpips <= 0 && losses.gan <= 0) {
    throw UsageError("the weights of Eq. 12 are all 0: give losses.l1, losses.lpips or losses.gan a weight");
  }
  if (experiment.trainer == "rsd") {
    const auto& nodes = experiment.distillation.nodes;
    const int64_t steps = experiment.system.schedule.steps;
    if (nodes.empty() || !std::is_sorted(nodes.begin(), nodes.end()) || nodes.back() != steps) {
      throw UsageError(fmt::format("distillation.nodes: [{}] must rise and end at T = {}, where the student starts in use (schedule.steps)",
                                   fmt::join(nodes, ", "), steps));
    }
    if (experiment.distillation.start == "prior" && nodes.size() > 1) {
      throw UsageError(fmt::format("distillation.start = prior starts at T alone: distillation.nodes must be [{}]", steps));
    }
    const int64_t deepest = latent / feature_reduction(experiment.system.denoiser);
    if (losses.gan > 0 && deepest < 8) {
      throw UsageError(fmt::format("losses.gan: the discriminator's head needs features of 8x8; crops of {} pixels give {}x{}",
                                   experiment.data.crop_size, deepest, deepest));
    }
  }
}

std::unique_ptr<TrainingMethod> make_distillation(const Experiment& experiment, NetworkSource& source, Autoencoder autoencoder,
                                                  PerceptualLoss lpips, const Placement& placement) {
  const SystemOptions& system = experiment.system;
  SwinUNetOptions without_noise = system.denoiser;
  without_noise.noise_channels = 0;
  const auto teacher = source.frozen<SwinUNet>(without_noise, system.weights.teacher, "teacher");
  // The student begins as its teacher.
  const SwinUNet student = source.trained_from(widened(teacher, system.denoiser), experiment);
  if (experiment.trainer == "sinsr") {
    return std::make_unique<SinSRTrainer>(experiment, SinSRTrainer::Networks{student, teacher, std::move(autoencoder)}, placement);
  }
  EncoderHead head(nullptr);
  if (experiment.losses.gan > 0) {
    torch::manual_seed(stream_seed(static_cast<uint64_t>(experiment.seed), "discriminator's initial weights"));
    head = EncoderHead(feature_channels(system.denoiser));
  }
  auto fake = std::make_shared<FakeNetwork>(widened(teacher, without_noise), head);
  fake->to(placement.device);
  return std::make_unique<RsdTrainer>(experiment, RsdTrainer::Networks{student, teacher, fake, std::move(autoencoder)}, std::move(lpips),
                                      placement);
}

}  // namespace

DrawNormal normals_for(const Part& part, at::Generator generator) {
  return [first = part.first, total = part.total, device = part.batch.hr.device(), generator](at::IntArrayRef shape) {
    std::vector<int64_t> whole = shape.vec();
    whole[0] = total;
    return sent_to(torch::randn(whole, generator).narrow(0, first, shape[0]), device);
  };
}

void TrainingMethod::accumulate(const Part& part, const StepPosition& position, Scalars& scalars) {
  std::vector<at::Tensor> inputs{part.batch.hr, part.batch.lr};
  for (at::Tensor& draw : draws(part, position)) inputs.push_back(std::move(draw));
  scalars.add(graphs_.run(kind(position), inputs, [&](const std::vector<at::Tensor>& given) {
    Part of_given = part;
    of_given.batch.hr = given[0];
    of_given.batch.lr = given[1];
    return passes(of_given, position, {given.begin() + 2, given.end()});
  }));
}

std::vector<TrainedNetwork*> TrainingMethod::networks() const {
  std::vector<TrainedNetwork*> networks;
  for (const Member& member : trained()) networks.push_back(member.network);
  return networks;
}

StateDict TrainingMethod::save() const {
  StateDict saved;
  for (const auto& [name, network, begins] : trained()) {
    for (const auto& [key, tensor] : network->save()) saved.add(name + "/" + key, tensor);
  }
  return saved;
}

void TrainingMethod::load(const StateDict& saved, const std::string& origin) {
  for (const auto& [name, network, begins] : trained()) network->load(saved.below(name + "/"), origin);
}

std::unique_ptr<TrainingMethod> make_training_method(const Experiment& experiment, NetworkSource& source, const Placement& placement) {
  check(experiment);
  const SystemOptions& system = experiment.system;
  PerceptualLoss lpips(source.lpips(experiment.losses));
  if (experiment.trainer == "autoencoder") {
    return std::make_unique<AutoencoderTrainer>(experiment, source.trained<Autoencoder>(system.autoencoder, experiment), std::move(lpips),
                                                placement);
  }
  auto autoencoder = source.frozen<Autoencoder>(system.autoencoder, system.weights.autoencoder, "autoencoder");
  if (experiment.trainer == "denoiser") {
    return std::make_unique<DenoiserTrainer>(experiment, source.trained<SwinUNet>(system.denoiser, experiment), std::move(autoencoder),
                                             std::move(lpips), placement);
  }
  if (experiment.trainer != "noise_predictor") {
    return make_distillation(experiment, source, std::move(autoencoder), std::move(lpips), placement);
  }
  NoisePredictorTrainer::Networks networks;
  networks.denoiser = source.frozen<SwinUNet>(system.denoiser, system.weights.denoiser, "denoiser");
  networks.autoencoder = std::move(autoencoder);
  networks.predictor = source.trained<NoisePredictor>(system.noise_predictor, experiment);
  return std::make_unique<NoisePredictorTrainer>(experiment, std::move(networks), std::move(lpips), placement);
}

}  // namespace lpnsr
