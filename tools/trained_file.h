#pragma once
// The weights of an experiment, and which of them its own training run makes.
#include <filesystem>
#include <optional>

#include "trainers/experiment.h"

namespace lpnsr {

// The file with the product's name below a run folder, as `[weights] noise_predictor = "runs/mine/noise_predictor.safetensors"` of an
// experiment whose trainer is noise_predictor, or `denoiser = "runs/mine/student.safetensors"` of a distillation; none where all of its
// weights come from elsewhere.
std::optional<std::filesystem::path> trained_file(const Experiment& experiment);

// find_weights of diffusion/system.h for what `experiment`, read from `file`, needs; the Error also names the training that makes what is
// missing, where there is one.
std::filesystem::path find_needed(const Experiment& experiment, const std::filesystem::path& file, const NeededWeights& needed,
                                  const std::filesystem::path& folder);

}  // namespace lpnsr
