#include "trainers/dry_run.h"

#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "core/work_counter.h"
#include "trainers/loading.h"

namespace lpnsr {
namespace {

// How many iterations from the end show all kinds that there are.
int64_t longest_cycle(const Experiment& experiment) {
  return std::max(experiment.gan.update_every, experiment.distillation.fake_updates + 1);
}

std::vector<std::string> names_of(const std::vector<TrainingMethod::Due>& due, const TrainingMethod& method) {
  std::vector<std::string> names;
  for (const auto& [name, network, begins] : method.trained()) {
    const bool moves = std::any_of(due.begin(), due.end(), [&](const TrainingMethod::Due& d) { return d.network == network; });
    if (moves) names.push_back(name);
  }
  return names;
}

Part one_picture(const Experiment& experiment, c10::Device device) {
  const int64_t side = experiment.data.crop_size, small = side / experiment.degradation.scale;
  const at::Tensor hr = torch::rand({1, 3, side, side});
  return {Batch{hr.to(device), at::adaptive_avg_pool2d(hr, {small, small}).to(device), {}, {"any"}}, 0, 1};
}

void find_data(const Experiment& experiment, TrainingPlan& plan) {
  const auto count = [&plan](const DataOptions& options) -> int64_t {
    try {
      return static_cast<int64_t>(find_pictures(options).size());
    } catch (const UsageError& error) {
      plan.missing.emplace_back(error.what());
      return 0;
    }
  };
  plan.pictures = count(experiment.data);
  if (!experiment.validation.folders.empty()) {
    DataOptions held_out = experiment.data;
    held_out.folders = experiment.validation.folders;
    held_out.lists.clear();
    count(held_out);
  }
}

void plan_schedule(const Experiment& experiment, TrainingPlan& plan) {
  const TrainingOptions& training = experiment.training;
  const LearningRateOptions& rate = experiment.optimizer.learning_rate;
  if (training.epoch_length > 0) {
    plan.epoch_length = training.epoch_length;
  } else if (plan.pictures > 0) {
    plan.epoch_length = std::max<int64_t>(1, plan.pictures / training.batch_size);
  }
  plan.first_rate = learning_rate_at(rate, 0, training.iterations, 1);
  plan.last_rate = learning_rate_at(rate, training.iterations - 1, training.iterations, std::max<int64_t>(1, plan.epoch_length));
  if (plan.epoch_length > 0) plan.epochs = (training.iterations + plan.epoch_length - 1) / plan.epoch_length;
}

// Weights in lower precision that layers keep from the first pass on are counted with the weights.
TrainingPlan::Iteration count_iteration(TrainingMethod& method, const Part& part, const StepPosition& position, int64_t& weights) {
  TrainingPlan::Iteration iteration;
  const auto due = method.due(position);
  iteration.updates = names_of(due, method);
  int64_t gradients = 0;
  for (const auto& member : due) {
    member.network->zero_grad();
    gradients += member.network->bytes().gradients;
  }
  Scalars scalars;
  const WorkCount count = count_work([&] { method.accumulate(part, position, scalars); });
  for (const auto& member : due) member.network->zero_grad();
  iteration.flops = count.flops;
  const int64_t kept = std::max<int64_t>(0, count.left_bytes - gradients);
  weights += kept;
  iteration.activation_bytes = std::max<int64_t>(0, count.peak_bytes - gradients - kept);
  return iteration;
}

void count_iterations(const Experiment& experiment, TrainingMethod& method, c10::Device device, TrainingPlan& plan) {
  const Part part = one_picture(experiment, device);
  std::vector<std::vector<std::string>> seen;
  const int64_t end = experiment.training.iterations;
  for (int64_t i = end - 1; i >= std::max<int64_t>(0, end - longest_cycle(experiment)); --i) {
    // Every adversary plays by the end of a run.
    const StepPosition position{i, std::numeric_limits<int64_t>::max(), plan.last_rate};
    const auto updates = names_of(method.due(position), method);
    if (std::find(seen.begin(), seen.end(), updates) != seen.end()) continue;
    seen.push_back(updates);
    plan.iterations.insert(plan.iterations.begin(), count_iteration(method, part, position, plan.bytes.weights));
  }
}

}  // namespace

int64_t TrainingPlan::peak_bytes() const {
  int64_t activations = 0;
  for (const auto& iteration : iterations) activations = std::max(activations, iteration.activation_bytes);
  return bytes.held() + part * activations;
}

TrainingPlan plan_training(const Experiment& experiment, const std::filesystem::path& weights_folder, c10::Device device,
                           int64_t processes) {
  TrainingPlan plan;
  plan.part = part_size(experiment.training, processes);
  NetworkSource source(weights_folder, device, /*reads=*/false);
  const auto method = make_training_method(experiment, source, {.device = device, .ranks = {}});
  plan.missing = source.missing();
  for (const auto& [name, network, begins] : method->trained()) {
    const bool product = plan.networks.empty();
    const std::string& from = experiment.training.initial_weights;
    plan.networks.push_back({name, network->parameters(), true, product && !from.empty() ? from : begins});
    const auto bytes = network->bytes();
    plan.bytes.weights += bytes.weights;
    plan.bytes.gradients += bytes.gradients;
    plan.bytes.optimizer += bytes.optimizer;
    plan.bytes.average += bytes.average;
  }
  for (const auto& [role, parameters, file] : source.frozen()) {
    plan.networks.push_back({role, parameters, false, file.empty() ? "missing" : file.string()});
    plan.bytes.weights += parameters * static_cast<int64_t>(sizeof(float));
  }
  find_data(experiment, plan);
  plan_schedule(experiment, plan);
  count_iterations(experiment, *method, device, plan);
  return plan;
}

}  // namespace lpnsr
