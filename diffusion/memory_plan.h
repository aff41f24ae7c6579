#pragma once
// How much memory a restoration takes, and the largest patches that fit.
#include <cstdint>

#include "diffusion/autoencoder.h"
#include "diffusion/swin_unet.h"

namespace lpnsr {

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

}  // namespace lpnsr
