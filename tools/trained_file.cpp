#include "tools/trained_file.h"

namespace lpnsr {

std::optional<std::filesystem::path> trained_file(const Experiment& experiment) {
  for (const auto& needed : needed_weights(experiment.system, experiment.restore.pre_upsample_only)) {
    const std::filesystem::path file(experiment.system.weights.*needed.file);
    if (file.has_parent_path() && file.filename() == experiment.trainer + ".safetensors") return file;
  }
  return std::nullopt;
}

}  // namespace lpnsr
