#pragma once
// A folder with a small system's configuration and weights, as `lpnsr restore` and `lpnsr table` take them.
#include "core/checkpoint.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "trainers/experiment.h"

namespace lpnsr::testing {

// FOLDER/small.toml and FOLDER/weights/ under the published names.
inline void write_system(const std::filesystem::path& folder, const SystemOptions& system) {
  Experiment experiment;
  experiment.system = system;
  experiment.restore.pad_multiple = 8;
  experiment.restore.pad_power_of_two = false;
  write_text(folder / "small.toml", write_config(fields_of(experiment)));
  const auto weights = folder / "weights";
  std::filesystem::create_directories(weights);
  write_safetensors(weights / system.weights.denoiser, state_dict(*small_network<SwinUNet>(system.denoiser, "unet")));
  write_safetensors(weights / system.weights.noise_predictor, state_dict(*small_network<NoisePredictor>(system.noise_predictor, "np")));
  write_safetensors(weights / system.weights.autoencoder, state_dict(*small_network<Autoencoder>(system.autoencoder, "vae")));
}

}  // namespace lpnsr::testing
