#include "diffusion/memory_plan.h"

#include <algorithm>

#include "core/memory.h"

namespace lpnsr {
namespace {

constexpr double kFloat = 4.0, kDouble = 8.0;

// One row of patches of `side` x `side`, at `scale` times its size: sums of three channels and weights in double precision, their quotient,
// and the rows held for the colour fix.
double band(int64_t height, int64_t width, int64_t side, double scale) {
  const double row = static_cast<double>(std::min(side, height)) * static_cast<double>(width);
  return scale * scale * row * (2.0 * 4.0 * kDouble + 3.0 * kDouble + 3.0 * 3.0 * kFloat);
}

}  // namespace

double memory_at_hand(c10::Device device, double held) {
  constexpr double kShare = 0.8;  // of what is free: other programs need some too, and the needs are estimates
  return (held + kShare * static_cast<double>(available_memory(device))) / kGibibyte;
}

int64_t largest_side(int64_t most, int64_t step, double limit, const std::function<double(int64_t)>& needed) {
  int64_t side = most;
  while (side > step && needed(side) > limit) side -= step;
  return side;
}

double RestoreMemory::patch(int64_t height, int64_t width) const {
  const auto& backbone = autoencoder.ddconfig;
  const double scale = static_cast<double>(autoencoder.scale());
  // The decoder's peak is its finest level. The factors are measured ones (published networks on a CPU, patches of 64 and 128): maps, their
  // enlargements and repacked copies, and what the allocator keeps in between.
  const double fine = static_cast<double>(backbone.ch * backbone.ch_mult.front());
  const double coarse = static_cast<double>(backbone.ch * backbone.ch_mult[std::min<size_t>(1, backbone.ch_mult.size() - 1)]);
  const double decoder = scale * scale * (6.0 * coarse + 3.0 * fine);
  // The denoiser's is its finest attention: queries, keys and values, the scores of each window, the hidden layer of the MLP.
  const double embed = static_cast<double>(denoiser.swin_embed_dim), window = static_cast<double>(denoiser.window_size);
  const double heads =
      denoiser.num_head_channels > 0 ? embed / static_cast<double>(denoiser.num_head_channels) : static_cast<double>(denoiser.num_heads);
  const double attention = embed * (4.0 + 2.0 * denoiser.mlp_ratio) + 2.0 * heads * window * window;
  const double network = 6.0 * static_cast<double>(denoiser.model_channels) + attention;
  return kFloat * std::max(decoder, network) * static_cast<double>(height) * static_cast<double>(width);
}

double RestoreMemory::published(int64_t height, int64_t width, int64_t tile, int64_t batch) const {
  const double pixels = static_cast<double>(height) * static_cast<double>(width);
  const double scale = static_cast<double>(autoencoder.scale());
  const bool tiled = tile > 0 && std::max(height, width) > tile;
  // Blended sums and their quotient in double precision where there are patches, then the bands of two decompositions.
  const double result = 3.0 * scale * scale * (tiled ? 7.0 * kDouble + 4.0 * kFloat : 8.0 * kFloat);
  const double networks = tiled ? static_cast<double>(batch) * patch(std::min(height, tile), std::min(width, tile)) : patch(height, width);
  return pixels * (result + 9.0 * kFloat) + networks;
}

double RestoreMemory::bounded(int64_t height, int64_t width, int64_t side, int64_t batch) const {
  const double pixels = static_cast<double>(height) * static_cast<double>(width);
  const double scale = static_cast<double>(autoencoder.scale());
  // The LR picture as read, padded and in [-1,1]; the maps of the chain, three channels each.
  const double maps = 3.0 * kFloat * (3.0 + 9.0) * pixels;
  return maps + band(height, width, side, scale) + static_cast<double>(batch) * patch(std::min(side, height), std::min(side, width));
}

double UpsamplingMemory::patch(int64_t height, int64_t width) const {
  const double scale = static_cast<double>(system.autoencoder.scale());
  // Floats for each LR pixel: the finest maps, a few at a time, and the trunk's.
  double floats = 3.0 * 3.0 * scale * scale;
  if (system.pre_upsampler == "swinir") {
    constexpr double kFineWidth = 64.0;
    const auto& network = system.swinir;
    const double embed = static_cast<double>(network.embed_dim), window = static_cast<double>(network.window_size);
    const double heads = static_cast<double>(network.num_heads.front());
    floats = scale * scale * 4.0 * kFineWidth + embed * (6.0 + 2.0 * network.mlp_ratio) + 2.0 * heads * window * window;
  } else if (system.pre_upsampler != "bicubic") {
    const double width_of = static_cast<double>(system.rrdbnet.num_feat), grow = static_cast<double>(system.rrdbnet.num_grow_ch);
    floats = scale * scale * 4.0 * width_of + 6.0 * width_of + 8.0 * grow;
  }
  return kFloat * floats * static_cast<double>(height) * static_cast<double>(width);
}

double UpsamplingMemory::whole(int64_t height, int64_t width) const {
  const double scale = static_cast<double>(system.autoencoder.scale());
  const double pixels = static_cast<double>(height) * static_cast<double>(width);
  return pixels * 3.0 * kFloat * (2.0 + 2.0 * scale * scale) + patch(height, width);
}

double UpsamplingMemory::bounded(int64_t height, int64_t width, int64_t side, int64_t batch) const {
  const double scale = static_cast<double>(system.autoencoder.scale());
  const double picture = 2.0 * 3.0 * kFloat * static_cast<double>(height) * static_cast<double>(width);
  return picture + band(height, width, side, scale) + static_cast<double>(batch) * patch(std::min(side, height), std::min(side, width));
}

}  // namespace lpnsr
