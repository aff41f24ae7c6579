#pragma once
// Which of an experiment's weights its own training run makes.
#include <filesystem>
#include <optional>

#include "trainers/experiment.h"

namespace lpnsr {

// The file named TRAINER.safetensors below a run folder, as `[weights] noise_predictor = "runs/mine/noise_predictor.safetensors"` of an
// experiment whose trainer is noise_predictor; none where all of its weights come from elsewhere.
std::optional<std::filesystem::path> trained_file(const Experiment& experiment);

}  // namespace lpnsr
