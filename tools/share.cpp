#include "tools/share.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>
#include <torch/cuda.h>

#include "core/error.h"
#include "trainers/ranks.h"

namespace lpnsr {
namespace {

int64_t number_from_environment(const char* name, int64_t fallback) {
  const char* text = std::getenv(name);
  if (text == nullptr) return fallback;
  const std::string_view digits(text);
  int64_t number = 0;
  const auto [rest, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault != std::errc() || rest != digits.data() + digits.size()) throw UsageError(fmt::format("{}='{}' is no number", name, text));
  return number;
}

}  // namespace

std::vector<int64_t> Share::order(int64_t total) const {
  std::vector<int64_t> own, others;
  for (int64_t i = 0; i < total; ++i) (i % count == index ? own : others).push_back(i);
  if (helps) own.insert(own.end(), others.begin(), others.end());
  return own;
}

Share share_from_environment() {
  if (std::getenv("SLURM_ARRAY_TASK_ID") != nullptr) {
    const int64_t id = number_from_environment("SLURM_ARRAY_TASK_ID", 0), first = number_from_environment("SLURM_ARRAY_TASK_MIN", 0),
                  step = std::max<int64_t>(1, number_from_environment("SLURM_ARRAY_TASK_STEP", 1)),
                  last = number_from_environment("SLURM_ARRAY_TASK_MAX", first);
    // By place in first, first + step, …, last; a task that is started again alone keeps its place.
    const Share share{(id - first) / step, (last - first) / step + 1, false};
    if (share.index < 0 || share.index >= share.count) {
      throw UsageError(fmt::format("SLURM_ARRAY_TASK_ID={} lies outside of the array {} to {}", id, first, last));
    }
    return share;
  }
  const RankSettings ranks = rank_settings_from_environment();
  return {ranks.rank, ranks.count, true};
}

std::string device_of_share(const std::string& device, const Share& share) {
  const auto gpus = static_cast<int64_t>(torch::cuda::device_count());
  if (device != "cuda" || !share.helps || share.alone() || gpus == 0) return device;
  return fmt::format("cuda:{}", rank_settings_from_environment().local_rank % gpus);
}

Arguments without_option(const Arguments& arguments, const std::string& name) {
  Arguments kept;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--" + name) {
      ++i;
    } else if (!arguments[i].starts_with("--" + name + "=")) {
      kept.push_back(arguments[i]);
    }
  }
  return kept;
}

}  // namespace lpnsr
