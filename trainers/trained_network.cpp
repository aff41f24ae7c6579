#include "trainers/trained_network.h"

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

using AdamState = torch::optim::AdamWParamState;

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

TrainedNetwork::TrainedNetwork(std::shared_ptr<torch::nn::Module> module, const OptimizerOptions& options, double ema_rate)
    : module_(std::move(module)),
      optimizer_(module_->parameters(), torch::optim::AdamWOptions(options.learning_rate.value)
                                            .betas({options.beta1, options.beta2})
                                            .eps(options.eps)
                                            .weight_decay(options.weight_decay)),
      clip_norm_(options.clip_norm),
      ema_rate_(ema_rate) {
  if (ema_rate_ > 0) ema_ = clone(state_dict(*module_));
}

double TrainedNetwork::update(double rate) {
  const auto parameters = module_->parameters();
  std::vector<at::Tensor> norms;
  for (const auto& parameter : parameters) {
    if (parameter.grad().defined()) norms.push_back(parameter.grad().norm());
  }
  const double norm = norms.empty() ? 0.0 : torch::stack(norms).norm().item<double>();
  if (!std::isfinite(norm)) {
    throw Error(
        fmt::format("the gradient is not finite (norm {}): training stops before the weights are spoilt\n"
                    "  try a lower optimizer.learning_rate.value, or resume from the last checkpoint",
                    norm));
  }
  const double coefficient = clip_norm_ > 0 ? std::min(1.0, clip_norm_ / (norm + 1e-6)) : 1.0;
  if (coefficient < 1.0) {
    for (const auto& parameter : parameters) {
      if (parameter.grad().defined()) parameter.mutable_grad().mul_(coefficient);
    }
  }
  for (auto& group : optimizer_.param_groups()) group.options().set_lr(rate);
  optimizer_.step();
  if (ema_rate_ > 0) {
    const torch::NoGradGuard no_grad;
    const StateDict now = state_dict(*module_);
    auto average = ema_.begin();
    for (const auto& [key, tensor] : now) {
      // Integer buffers and those a module derives have no average.
      if (tensor.is_floating_point() && tensor.requires_grad()) {
        average->second.mul_(ema_rate_).add_(tensor, 1.0 - ema_rate_);
      } else {
        average->second.copy_(tensor);
      }
      ++average;
    }
  }
  return norm;
}

StateDict TrainedNetwork::weights() const { return state_dict(*module_); }
StateDict TrainedNetwork::average() const { return ema_.empty() ? weights() : ema_; }

StateDict TrainedNetwork::save() const {
  StateDict saved = weights().with_prefix("weights/");
  for (const auto& [key, tensor] : ema_) saved.add("ema/" + key, tensor);
  for (const auto& parameter : module_->named_parameters()) {
    const auto& states = optimizer_.state();
    const auto found = states.find(parameter.value().unsafeGetTensorImpl());
    if (found == states.end()) continue;  // never updated so far
    const auto& adam = static_cast<const AdamState&>(*found->second);
    saved.add("adam/" + parameter.key() + "/step", torch::tensor(adam.step(), torch::kInt64));
    saved.add("adam/" + parameter.key() + "/exp_avg", adam.exp_avg());
    saved.add("adam/" + parameter.key() + "/exp_avg_sq", adam.exp_avg_sq());
  }
  return saved;
}

void TrainedNetwork::load(const StateDict& saved, const std::string& origin) {
  const torch::NoGradGuard no_grad;
  load_strictly(*module_, saved.below("weights/"), origin, LoadOptions{{}});
  for (const auto& [key, tensor] : ema_) tensor.copy_(saved_tensor(saved, "ema/" + key, tensor, origin));
  for (const auto& parameter : module_->named_parameters()) {
    const std::string prefix = "adam/" + parameter.key();
    if (!saved.contains(prefix + "/step")) continue;
    auto adam = std::make_unique<AdamState>();
    adam->step(saved.at(prefix + "/step").item<int64_t>());
    adam->exp_avg(saved_tensor(saved, prefix + "/exp_avg", parameter.value(), origin)
                      .to(parameter.value().device(), /*non_blocking=*/false, /*copy=*/true));
    adam->exp_avg_sq(saved_tensor(saved, prefix + "/exp_avg_sq", parameter.value(), origin).to(parameter.value().device(), false, true));
    optimizer_.state()[parameter.value().unsafeGetTensorImpl()] = std::move(adam);
  }
}

}  // namespace lpnsr
