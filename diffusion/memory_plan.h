#pragma once
// How much memory a restoration takes, and the largest patches that fit.
#include <cstdint>
#include <functional>

#include <c10/core/Device.h>

#include "diffusion/autoencoder.h"
#include "diffusion/swin_unet.h"
#include "diffusion/system.h"

namespace lpnsr {

constexpr double kGibibyte = 1 << 30;

// GiB that may be asked of `device` in all: the `held` bytes and most of what is free.
double memory_at_hand(c10::Device device, double held);
// The largest of `most`, `most` - `step`, …, above 0, for which `needed` stays within `limit`, or the least one where none does.
int64_t largest_side(int64_t most, int64_t step, double limit, const std::function<double(int64_t side)>& needed);

// Bytes at the peak, besides what the process holds before the picture is read. Estimates from the widths of the networks.
struct RestoreMemory {
  const SwinUNetOptions& denoiser;
  const AutoencoderOptions& autoencoder;
  // The networks on one patch of side x side LR pixels.
  double patch(int64_t height, int64_t width) const;
  // LR picture of height x width, restored as published: patches of `tile`, `batch` at a time, the result and its colour fix as a whole.
  double published(int64_t height, int64_t width, int64_t tile, int64_t batch) const;
  // The same with everything but the latent maps in patches of `side` and rows.
  double bounded(int64_t height, int64_t width, int64_t side, int64_t batch) const;
};

// The same of the pre-upsampler alone.
struct UpsamplingMemory {
  const SystemOptions& system;
  double patch(int64_t height, int64_t width) const;
  double whole(int64_t height, int64_t width) const;
  double bounded(int64_t height, int64_t width, int64_t side, int64_t batch) const;
};

}  // namespace lpnsr
