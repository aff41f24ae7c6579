#include "trainers/iteration.h"

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"

namespace lpnsr {
namespace {

std::string not_finite(const Metrics& metrics) {
  for (const auto& [name, value] : metrics) {
    if (!std::isfinite(value)) return fmt::format("{} is {}", name, value);
  }
  return "";
}

// Of the rank whose pictures it was; every rank learns the rest from the means.
void tell_the_pictures(const Metrics& own, const std::vector<Part>& parts, const StepPosition& position, const Ranks& ranks) {
  const std::string fault = not_finite(own);
  if (fault.empty()) return;
  std::string pictures;
  for (const Part& part : parts) {
    for (const std::string& name : part.batch.names) pictures += (pictures.empty() ? "" : ", ") + name;
  }
  log_warning("iteration {}, rank {}: {}; pictures: {}", position.iteration + 1, ranks.rank(), fault, pictures);
}

}  // namespace

IterationResult run_iteration(TrainingMethod& method, const std::vector<Part>& parts, const StepPosition& position, const Ranks& ranks,
                              const std::function<bool()>& asked_to_stop) {
  const auto due = method.due(position);
  for (const auto& [network, rate, name] : due) network->zero_grad();
  Scalars scalars;
  for (const Part& part : parts) method.accumulate(part, position, scalars);
  for (const auto& [network, rate, name] : due) network->complete_gradients();
  IterationResult result;
  result.stop = asked_to_stop && asked_to_stop();
  result.metrics = scalars.of_all(ranks, &result.stop);
  result.fault = not_finite(result.metrics);
  if (!result.fault.empty()) {
    tell_the_pictures(scalars.own(), parts, position, ranks);
    return result;
  }
  // The norms first: where one is not finite, neither network moves. They are of the ranks' mean, hence the same everywhere.
  bool overflow = false;
  std::vector<double> norms;
  for (const auto& [network, rate, name] : due) {
    norms.push_back(network->gradient_norm());
    if (std::isfinite(norms.back())) continue;
    network->scaler().overflowed();
    overflow = true;
    if (!network->scaler().active() || network->scaler().exhausted()) result.fault = fmt::format("{} is {}", name, norms.back());
  }
  if (overflow) {
    result.metrics["overflow"] = 1.0;
    return result;
  }
  for (size_t i = 0; i < due.size(); ++i) {
    due[i].network->update(due[i].rate, norms[i]);
    result.metrics[due[i].norm] = norms[i];
    if (due[i].network->scaler().active()) result.metrics["loss_scale"] = due[i].network->scaler().scale();
  }
  method.updated(position, result.metrics);
  return result;
}

Metrics run_iteration(TrainingMethod& method, const Batch& batch, const StepPosition& position) {
  const IterationResult result = run_iteration(method, {{batch, 0, batch.hr.size(0)}}, position, {});
  if (!result.fault.empty()) throw Error(result.fault);
  return result.metrics;
}

}  // namespace lpnsr
