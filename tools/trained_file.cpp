#include "tools/trained_file.h"

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {

std::optional<std::filesystem::path> trained_file(const Experiment& experiment) {
  for (const auto& needed : needed_weights(experiment.system, experiment.restore.pre_upsample_only)) {
    const std::filesystem::path file(experiment.system.weights.*needed.file);
    if (file.has_parent_path() && file.filename() == experiment.product() + ".safetensors") return file;
  }
  return std::nullopt;
}

std::filesystem::path find_needed(const Experiment& experiment, const std::filesystem::path& file, const NeededWeights& needed,
                                  const std::filesystem::path& folder) {
  const std::string& name = experiment.system.weights.*needed.file;
  try {
    return find_weights(name, folder, needed.purpose);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    if (trained_file(experiment) != std::filesystem::path(name)) throw;
    throw Error(fmt::format("{}; 'lpnsr train {} --output {}' makes it", error.what(), file.string(),
                            std::filesystem::path(name).parent_path().string()));
  }
}

}  // namespace lpnsr
