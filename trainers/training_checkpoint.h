#pragma once
// A training checkpoint is one safetensors file: the method's state, where the run stands and the configuration it belongs to, with a
// checksum.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/state_dict.h"

namespace lpnsr {

struct TrainingCheckpoint {
  int64_t iteration = 0;  // iterations done
  int64_t samples = 0;    // pictures the loader has handed out
  std::string config;     // write_config of the experiment
  StateDict state;
};

// FOLDER/iteration-00001234.safetensors, atomically; then all but the newest `keep` are removed.
void write_training_checkpoint(const std::filesystem::path& folder, const TrainingCheckpoint& checkpoint, int64_t keep);
// Throws DataError where it is damaged or no training checkpoint.
TrainingCheckpoint read_training_checkpoint(const std::filesystem::path& path);
// The newest that reads without fault; a damaged newer one is reported and passed over. Nothing where there is none.
std::optional<TrainingCheckpoint> newest_training_checkpoint(const std::filesystem::path& folder);
// Throws UsageError listing the keys whose values differ, those aside that do not alter the result (data.workers, training.log_every …).
void check_same_run(const std::string& checkpoint_config, const std::string& config, const std::string& origin);

}  // namespace lpnsr
