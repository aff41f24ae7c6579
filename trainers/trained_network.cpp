#include "trainers/trained_network.h"

#include <fmt/format.h>

#include "core/device.h"
#include "core/error.h"

namespace lpnsr {
namespace {

StateDict clone(const StateDict& tensors) {
  StateDict copies;
  for (const auto& [key, tensor] : tensors) copies.add(key, tensor.detach().clone());
  return copies;
}

const at::Tensor& saved_tensor(const StateDict& saved, const std::string& key, const at::Tensor& like, const std::string& origin) {
  const at::Tensor* tensor = saved.find(key);
  if (tensor == nullptr) throw DataError(fmt::format("'{}': the training checkpoint lacks '{}'", origin, key));
  if (tensor->sizes() != like.sizes())
    throw DataError(fmt::format("'{}': '{}' has another shape than this experiment's network", origin, key));
  return *tensor;
}

}  // namespace

TrainedNetwork::TrainedNetwork(std::shared_ptr<torch::nn::Module> module, const Experiment& experiment, double ema_rate,
                               const Placement& placement, Gradients gradients)
    : module_(std::move(module)),
      options_(experiment.optimizer),
      ema_rate_(ema_rate),
      parameters_(module_->parameters()),
      adam_(parameters_.size()),
      gradients_stay_(placement.recorder != nullptr),
      average_over_ranks_(parameters_, placement.ranks, gradients, gradients_stay_ ? Exchange::afterwards : Exchange::overlapped),
      scaler_(parse_precision(experiment.training.precision) == c10::kHalf) {
  const torch::NoGradGuard no_grad;
  for (auto& [key, tensor] : state_dict(*module_)) placement.ranks.copy_from_first(tensor.detach());
  for (const auto& parameter : module_->named_parameters()) names_.push_back(parameter.key());
  if (ema_rate_ > 0) ema_ = clone(state_dict(*module_));
}

// Made when first wanted, of the type that the weights have by then.
TrainedNetwork::AdamState& TrainedNetwork::adam_of(size_t i) const {
  AdamState& adam = adam_[i];
  if (!adam.step.defined()) {
    const at::Tensor weight = parameters_[i].detach();
    adam = {torch::zeros({}, weight.options().dtype(torch::kFloat)), torch::zeros_like(weight), torch::zeros_like(weight)};
  }
  return adam;
}

void TrainedNetwork::zero_grad() {
  if (scaler_.active()) {
    if (!loss_scale_.defined()) loss_scale_ = torch::empty({}, parameters_.front().options().requires_grad(false));
    loss_scale_.fill_(scaler_.scale());
  }
  std::vector<at::Tensor> staying;
  for (auto& parameter : parameters_) {
    if (!gradients_stay_) {
      parameter.mutable_grad().reset();
      continue;
    }
    if (!parameter.grad().defined()) parameter.mutable_grad() = torch::zeros_like(parameter);
    staying.push_back(parameter.grad());
  }
  if (!staying.empty()) at::_foreach_zero_(staying);
}

void TrainedNetwork::backward(const at::Tensor& loss, int64_t parts, bool last) {
  const at::Tensor scaled = scaler_.active() ? loss * loss_scale_ : loss;
  average_over_ranks_.backward(parts == 1 ? scaled : scaled / static_cast<double>(parts), last);
}

std::vector<at::Tensor> TrainedNetwork::changed_by_passes() const {
  std::vector<at::Tensor> changed = module_->buffers();
  for (const auto& parameter : parameters_) {
    if (parameter.grad().defined()) changed.push_back(parameter.grad());
  }
  return changed;
}

double TrainedNetwork::gradient_norm() const {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  if (gradients.empty()) return 0.0;
  return torch::stack(at::_foreach_norm(gradients)).norm().item<double>() / scaler_.scale();
}

void TrainedNetwork::update(double rate, double norm) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> parameters, gradients, first, second, largest, steps;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].grad().defined()) continue;
    const AdamState& adam = adam_of(i);
    parameters.push_back(parameters_[i]);
    gradients.push_back(parameters_[i].grad());
    first.push_back(adam.first_moment);
    second.push_back(adam.second_moment);
    steps.push_back(adam.step);
  }
  const double clipped = options_.clip_norm > 0 ? std::min(1.0, options_.clip_norm / (norm + 1e-6)) : 1.0;
  if (const double factor = clipped / scaler_.scale(); factor != 1.0) at::_foreach_mul_(gradients, factor);
  at::_foreach_add_(steps, 1);
  at::_fused_adamw_(parameters, gradients, first, second, largest, steps, rate, options_.beta1, options_.beta2, options_.weight_decay,
                    options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  // The fused kernel does not count its changes, and caches of what is derived from weights go by that count.
  for (const at::Tensor& parameter : parameters) parameter.unsafeGetTensorImpl()->bump_version();
  scaler_.updated();
  ++updates_;
  if (ema_rate_ <= 0) return;
  std::vector<at::Tensor> averages, weights;
  auto average = ema_.begin();
  for (const auto& [key, tensor] : state_dict(*module_)) {
    // Integer buffers and those a module derives have no average.
    if (tensor.is_floating_point() && tensor.requires_grad()) {
      averages.push_back(average->second);
      weights.push_back(tensor);
    } else {
      average->second.copy_(tensor);
    }
    ++average;
  }
  at::_foreach_mul_(averages, ema_rate_);
  at::_foreach_add_(averages, weights, 1.0 - ema_rate_);
}

StateDict TrainedNetwork::weights() const { return state_dict(*module_); }
StateDict TrainedNetwork::average() const { return ema_.empty() ? weights() : ema_; }

void TrainedNetwork::swap_average() {
  const torch::NoGradGuard no_grad;
  const StateDict now = state_dict(*module_);
  for (auto& [key, average] : ema_) {
    at::Tensor weight = now.at(key).detach();
    const at::Tensor kept = weight.clone();
    weight.copy_(average);
    average.copy_(kept);
  }
}

int64_t TrainedNetwork::parameters() const {
  int64_t count = 0;
  for (const at::Tensor& parameter : parameters_) count += parameter.numel();
  return count;
}

TrainedNetwork::Bytes TrainedNetwork::bytes() const {
  Bytes bytes;
  for (const at::Tensor& parameter : parameters_) bytes.gradients += static_cast<int64_t>(parameter.nbytes());
  for (const auto& [key, tensor] : weights()) bytes.weights += static_cast<int64_t>(tensor.nbytes());
  for (const auto& [key, tensor] : ema_) bytes.average += static_cast<int64_t>(tensor.nbytes());
  bytes.optimizer = 2 * bytes.gradients;
  return bytes;
}

StateDict TrainedNetwork::save() const {
  StateDict saved = weights().with_prefix("weights/");
  for (const auto& [key, tensor] : ema_) saved.add("ema/" + key, tensor);
  for (size_t i = 0; i < names_.size(); ++i) {
    const AdamState& adam = adam_of(i);
    saved.add("adam/" + names_[i] + "/step", adam.step.to(torch::kInt64));
    saved.add("adam/" + names_[i] + "/exp_avg", adam.first_moment);
    saved.add("adam/" + names_[i] + "/exp_avg_sq", adam.second_moment);
  }
  scaler_.save(saved, "");
  return saved;
}

void TrainedNetwork::load(const StateDict& saved, const std::string& origin) {
  const torch::NoGradGuard no_grad;
  load_strictly(*module_, saved.below("weights/"), origin, LoadOptions{{}});
  for (const auto& [key, tensor] : ema_) tensor.copy_(saved_tensor(saved, "ema/" + key, tensor, origin));
  for (size_t i = 0; i < names_.size(); ++i) {
    const std::string prefix = "adam/" + names_[i];
    AdamState& adam = adam_of(i);
    adam.step.copy_(saved_tensor(saved, prefix + "/step", adam.step, origin));
    adam.first_moment.copy_(saved_tensor(saved, prefix + "/exp_avg", adam.first_moment, origin));
    adam.second_moment.copy_(saved_tensor(saved, prefix + "/exp_avg_sq", adam.second_moment, origin));
  }
  scaler_.load(saved, "");
}

}  // namespace lpnsr
