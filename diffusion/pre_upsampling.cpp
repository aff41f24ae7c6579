#include "diffusion/pre_upsampling.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/memory.h"
#include "diffusion/image_ops.h"
#include "diffusion/patches.h"

namespace lpnsr {
namespace {

constexpr int64_t kLeastSide = 32;

}  // namespace

PreUpsampling::PreUpsampling(const SystemOptions& system, RestoreOptions options, PreUpsampler upsampler)
    : system_(system), options_(std::move(options)), upsampler_(std::move(upsampler)), resident_(resident_memory()) {}

double PreUpsampling::held() const { return device_.is_cpu() ? static_cast<double>(resident_) : 0.0; }

double PreUpsampling::published_memory(int64_t height, int64_t width) const {
  return (held() + UpsamplingMemory{system_}.whole(height, width)) / kGibibyte;
}

double PreUpsampling::least_memory(int64_t height, int64_t width) const {
  return (held() + UpsamplingMemory{system_}.bounded(height, width, kLeastSide, options_.tile_batch)) / kGibibyte;
}

double PreUpsampling::memory_at_hand() const {
  return lpnsr::memory_at_hand(device_, device_.is_cpu() ? static_cast<double>(resident_memory()) : 0.0);
}

void PreUpsampling::restore_rows(const at::Tensor& lr, const Restorer::TakeRows& take) const {
  const torch::NoGradGuard no_grad;
  const GraphScope graphs(options_.cuda_graphs && options_.memory == 0.0);
  const int64_t height = lr.size(1), width = lr.size(2);
  const auto picture = lr.to(device_, torch::kFloat32).unsqueeze(0);
  const auto enlarged = [this](const at::Tensor& part) { return upsampler_(part).clamp(0, 1); };
  if (options_.memory == 0.0 || published_memory(height, width) <= options_.memory) return take(enlarged(picture)[0]);
  const auto needed = [&](int64_t side) {
    return (held() + UpsamplingMemory{system_}.bounded(height, width, side, options_.tile_batch)) / kGibibyte;
  };
  const int64_t longer = round_up(std::max(height, width), kLeastSide);
  const int64_t most = options_.tile > 0 ? std::min(round_up(options_.tile, kLeastSide), longer) : longer;
  const int64_t side = largest_side(most, kLeastSide, options_.memory, needed);
  if (needed(side) > options_.memory) {
    throw Error(
        fmt::format("{:.2f} GiB of memory are too few for a picture of {} x {} pixels: with the smallest patches it takes {:.2f} GiB",
                    options_.memory, width, height, needed(side)));
  }
  auto grid = seamless_grid(height, width, side, system_.autoencoder.scale());
  grid.batch = options_.tile_batch;
  blend_rows(
      grid, [&](const std::vector<Patch>& patches) { return enlarged(gather(picture, patches)); },
      [&](const at::Tensor& rows) { take(rows[0].to(torch::kFloat32)); });
}

}  // namespace lpnsr
