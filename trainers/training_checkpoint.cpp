#include "trainers/training_checkpoint.h"

#include <zlib.h>

#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/config.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"

namespace lpnsr {
namespace {

constexpr const char* kind = "lpnsr training checkpoint";
constexpr const char* stem = "iteration-";

std::string checksum(const StateDict& state) {
  uLong sum = crc32(0, nullptr, 0);
  for (const auto& [key, tensor] : state) {
    sum = crc32(sum, reinterpret_cast<const Bytef*>(key.data()), static_cast<uInt>(key.size()));
    const at::Tensor bytes = tensor.detach().to(torch::kCPU).contiguous();
    sum = crc32_z(sum, static_cast<const Bytef*>(bytes.const_data_ptr()), bytes.nbytes());
  }
  return fmt::format("{:08x}", sum);
}

// Newest first.
std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(stem) && name.ends_with(".safetensors")) found.push_back(entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

const std::string& entry(const WeightsFile& file, const std::string& key, const std::filesystem::path& path) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end() || file.metadata.count("kind") == 0 || file.metadata.at("kind") != kind) {
    throw DataError(fmt::format(
        "'{}' is no training checkpoint of this program (weights alone start a run through training.initial_weights)", path.string()));
  }
  return found->second;
}

}  // namespace

void write_training_checkpoint(const std::filesystem::path& folder, const TrainingCheckpoint& checkpoint, int64_t keep) {
  write_safetensors(folder / fmt::format("{}{:08}.safetensors", stem, checkpoint.iteration), checkpoint.state,
                    {{"kind", kind},
                     {"iteration", std::to_string(checkpoint.iteration)},
                     {"samples", std::to_string(checkpoint.samples)},
                     {"config", checkpoint.config},
                     {"crc32", checksum(checkpoint.state)}});
  const auto all = checkpoints_in(folder);
  for (size_t i = static_cast<size_t>(keep); i < all.size(); ++i) {
    std::error_code ignored;
    std::filesystem::remove(all[i], ignored);
  }
}

TrainingCheckpoint read_training_checkpoint(const std::filesystem::path& path) {
  WeightsFile file = read_safetensors(path);
  TrainingCheckpoint checkpoint;
  checkpoint.iteration = std::stoll(entry(file, "iteration", path));
  checkpoint.samples = std::stoll(entry(file, "samples", path));
  checkpoint.config = entry(file, "config", path);
  checkpoint.state = std::move(file.tensors);
  if (checksum(checkpoint.state) != entry(file, "crc32", path)) {
    throw DataError(fmt::format("'{}' is damaged: its checksum does not fit its content", path.string()));
  }
  return checkpoint;
}

std::optional<TrainingCheckpoint> newest_training_checkpoint(const std::filesystem::path& folder) {
  for (const auto& path : checkpoints_in(folder)) {
    try {
      return read_training_checkpoint(path);
    } catch (const DataError& error) {
      log_warning("{}; trying the one before", error.what());
    }
  }
  return std::nullopt;
}

void check_same_run(const std::string& checkpoint_config, const std::string& config, const std::string& origin) {
  static const std::vector<std::string> harmless = {"data.workers",
                                                    "data.prefetch",
                                                    "data.cache",
                                                    "data.skip_unreadable",
                                                    "training.patience",
                                                    "training.cuda_graphs",
                                                    "training.on_not_finite",
                                                    "validation.folders",
                                                    "validation.pictures",
                                                    "validation.every",
                                                    "validation.metrics",
                                                    "validation.best",
                                                    "training.log_every",
                                                    "training.checkpoint_every",
                                                    "training.keep_checkpoints",
                                                    "training.sample_every",
                                                    "training.sample_pictures",
                                                    "training.iterations"};
  std::string faults;
  for (const std::string& difference : config_differences(checkpoint_config, config)) {
    const std::string key = difference.substr(0, difference.find(':'));
    if (std::find(harmless.begin(), harmless.end(), key) == harmless.end()) faults += "\n  " + difference;
  }
  if (!faults.empty()) {
    throw UsageError(fmt::format("'{}' belongs to a run with another configuration (there, here):{}", origin, faults));
  }
}

}  // namespace lpnsr
