#pragma once
// Metrics under `lpnsr forward`: RGB in [0,1], `image` and where it is needed `reference` -> `value`, one a picture.
#include <string>
#include <vector>

#include "tools/forward_inputs.h"
#include "tools/forward_modules.h"

namespace lpnsr {

std::vector<ForwardDescription> forward_metrics();
bool is_forward_metric(const std::string& name);
// Throws UsageError for weights or options that the metric does not take.
void check_forward_metric(const ForwardRequest& request);
// Where no weights are given they are looked for below request.weights_dir under their published names.
StateDict run_forward_metric(const ForwardRequest& request, const ForwardInputs& inputs);

}  // namespace lpnsr
