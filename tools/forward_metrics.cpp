#include "tools/forward_metrics.h"

#include <ATen/Functions.h>

#include "core/error.h"
#include "eval/metrics.h"

namespace lpnsr {
namespace {

// The features of a metric of sets stand beside it under its name.
constexpr std::string_view features_suffix = ".features";

bool asks_for_features(const std::string& name) { return name.ends_with(features_suffix); }

std::string metric_of(const std::string& name) {
  return asks_for_features(name) ? name.substr(0, name.size() - features_suffix.size()) : name;
}

}  // namespace

std::vector<ForwardDescription> forward_metrics() {
  std::vector<ForwardDescription> descriptions;
  for (const auto& metric : metric_descriptions()) {
    const bool set = metric.kind == MetricKind::set;
    const std::string inputs = metric.kind == MetricKind::picture ? "image, RGB in [0,1]" : "image, reference, RGB in [0,1]";
    descriptions.push_back({metric.name, inputs, set ? "value [1]" : "value [N]"});
    if (set) descriptions.push_back({metric.name + std::string(features_suffix), "image, RGB in [0,1]", "value [N,D]"});
  }
  return descriptions;
}

bool is_forward_metric(const std::string& name) {
  const auto known = forward_metrics();
  return std::any_of(known.begin(), known.end(), [&](const ForwardDescription& one) { return one.name == name; });
}

void check_forward_metric(const ForwardRequest& request) {
  const auto& metric = find_metric(metric_of(request.module));
  if (metric.files.empty() && !request.weights.empty()) throw UsageError(metric.name + " has no weights: leave --weights out");
  if (!metric.configurable && (request.config || !request.set.empty()))
    throw UsageError(metric.name + " has no configuration: leave --config and --set out");
}

StateDict run_forward_metric(const ForwardRequest& request, const ForwardInputs& inputs) {
  const auto& description = find_metric(metric_of(request.module));
  MetricRequest wanted{.set = request.set, .config = request.config, .files = request.weights, .device = request.device};
  if (wanted.files.empty() && !description.files.empty()) wanted.files = find_metric_files(description, request.weights_dir);
  const bool features_only = asks_for_features(request.module), set = description.kind == MetricKind::set;
  const auto image = inputs.images("image", 3);
  at::Tensor reference;
  if (set && !features_only) reference = inputs.images("reference", 3);
  if (description.kind == MetricKind::pair) reference = inputs.images_like("reference", image, "image");
  const Metric metric = make_metric(description, wanted);
  StateDict results;
  if (features_only) {
    results.add("value", metric.features(image.unbind()));
  } else if (set) {
    results.add("value", at::full({1}, metric.distance(metric.features(image.unbind()), metric.features(reference.unbind())), at::kDouble));
  } else {
    const auto values = scores_of(metric, image.unbind(), reference.defined() ? reference.unbind() : Metric::Pictures{});
    results.add("value", at::tensor(values, at::kDouble));
  }
  return results;
}

}  // namespace lpnsr
