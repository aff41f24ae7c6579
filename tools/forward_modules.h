#pragma once
// The modules and metrics that `lpnsr forward` runs, by name.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "core/state_dict.h"

namespace lpnsr {

struct ForwardRequest {
  std::string module;
  std::vector<std::filesystem::path> weights;
  std::optional<std::filesystem::path> config;  // none: the published full-size architecture
  std::vector<std::string> set;                 // overrides of the configuration
  std::filesystem::path weights_dir;            // where a metric's files are looked for when none are given
  StateDict inputs;
  std::string inputs_origin;  // for messages
  c10::Device device = c10::kCPU;
  c10::ScalarType precision = c10::kFloat;
};

struct ForwardDescription {
  std::string name, inputs, outputs;
};
std::vector<ForwardDescription> forward_modules();

// Throws UsageError for an unknown module and weights or a configuration that do not go with it. Reads no weights: quick.
void check_forward(const ForwardRequest& request);

// Results on the CPU. Throws DataError where a tensor is missing or is not what the module takes.
StateDict run_forward_module(const ForwardRequest& request);

}  // namespace lpnsr
