#include "tools/restore_picture.h"

#include <charconv>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "tools/chain_pictures.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

constexpr double kSpreadGain = 4.0;

fs::path beside(const fs::path& file, const std::string& suffix, const std::string& extension) {
  return file.parent_path() / (file.stem().string() + suffix + extension);
}

}  // namespace

MemoryChoice parse_memory(const std::string& text, double configured) {
  using Kind = MemoryChoice::Kind;
  if (text.empty()) return configured > 0.0 ? MemoryChoice{Kind::given, configured} : MemoryChoice{};
  if (text == "auto") return {.kind = Kind::automatic};
  if (text == "off") return {.kind = Kind::published};
  double gib = 0.0;
  const auto [rest, fault] = std::from_chars(text.data(), text.data() + text.size(), gib);
  if (fault != std::errc() || rest != text.data() + text.size() || !(gib > 0.0 && gib < 1e6)) {
    throw UsageError(fmt::format("--memory '{}': a number of GiB, auto or off expected", text));
  }
  return {Kind::given, gib};
}

std::vector<fs::path> PictureRestorer::outputs(const PictureJob& job) const {
  std::vector<fs::path> files{job.output};
  if (seeds == 1) return files;
  const std::string extension = job.output.extension().string();
  for (int64_t i = 1; i < seeds; ++i) {
    files.push_back(beside(job.output, fmt::format("-seed{}", seed + static_cast<uint64_t>(i)), extension));
  }
  files.push_back(beside(job.output, "-mean", extension));
  files.push_back(beside(job.output, "-spread", ".png"));
  return files;
}

template <class Restoring>
void PictureRestorer::choose_memory(Restoring& restoring, const Image& picture) {
  using Kind = MemoryChoice::Kind;
  if (at_hand_ == 0.0) at_hand_ = restoring.memory_at_hand();
  switch (memory.kind) {
    case Kind::given:
      return restoring.set_memory(memory.gib);
    case Kind::automatic:
      return restoring.set_memory(at_hand_);
    case Kind::published:
      return restoring.set_memory(0.0);
    case Kind::as_needed:
      break;
  }
  const double needed = restoring.published_memory(picture.height(), picture.width());
  const bool bounded = needed > at_hand_ && restoring.least_memory(picture.height(), picture.width()) <= at_hand_;
  restoring.set_memory(bounded ? at_hand_ : 0.0);
  if (bounded) {
    log_info("{} x {} pixels would take about {:.1f} GiB as published; {:.1f} GiB are at hand, so the memory-bounded mode restores them",
             picture.width(), picture.height(), needed, at_hand_);
  } else if (needed > at_hand_) {
    log_warning("{} x {} pixels may take {:.1f} GiB; {:.1f} GiB are at hand", picture.width(), picture.height(), needed, at_hand_);
  }
}

void PictureRestorer::sample(const PictureJob& job, const RestoreInput& input, int64_t index, const fs::path& file,
                             const TakeRestored& also) {
  restorer->set_seed(seed + static_cast<uint64_t>(index));
  const std::string name = index == 0 ? job.name : fmt::format("{}-seed{}", job.name, seed + static_cast<uint64_t>(index));
  ChainPictures pictures(noise_maps, intermediate, name, *restorer);
  Restorer::Observe observe;
  if (pictures.wanted()) observe = std::ref(pictures);
  write_restored(
      file, {input.picture, network_scale, scale, restorer->rounding()},
      [&](const TakeRestored& take) { restorer->restore_rows(input.picture.rgb, input.truth, observe, take); }, also);
}

void PictureRestorer::run(const PictureJob& job, const RestoreInput& input) {
  const RestoredPicture picture{input.picture, network_scale, scale};
  const auto files = outputs(job);
  // Told before hours are spent on it.
  for (const auto& file : files) check_writable(file, picture.height(), picture.width());
  // Maps of another size leave holes where the last ones lay: over the 80 sizes of RealSet80 several times a picture's need.
  const std::pair size{input.picture.height(), input.picture.width()};
  if (std::exchange(last_size_, size) != size) {
    give_back_freed_memory();
    at_hand_ = 0.0;
  }
  const torch::NoGradGuard no_grad;
  if (upsampling) {
    choose_memory(*upsampling, input.picture);
    return write_restored(job.output, picture, [&](const TakeRestored& take) { upsampling->restore_rows(input.picture.rgb, take); });
  }
  choose_memory(*restorer, input.picture);
  if (seeds == 1) return sample(job, input, 0, job.output, {});
  SampleStatistics statistics(picture.height(), picture.width());
  for (int64_t i = 0; i < seeds; ++i) {
    statistics.begin_sample();
    sample(job, input, i, files[static_cast<size_t>(i)], [&](const at::Tensor& rows) { statistics.add(rows); });
  }
  const size_t mean = files.size() - 2, spread = files.size() - 1;
  Image summary{.rgb = statistics.mean(), .alpha = {}};
  summary.bit_depth = input.picture.bit_depth;
  summary.gray = input.picture.gray;
  summary.icc_profile = input.picture.icc_profile;
  if (summary.gray) summary.rgb = summary.rgb.mean(0, /*keepdim=*/true);
  write_image(files[mean], summary);
  Image deviation{.rgb = statistics.spread() * kSpreadGain, .alpha = {}};
  deviation.bit_depth = 16;
  write_image(files[spread], deviation);
}

}  // namespace lpnsr
