#pragma once
// Noise in two steps, the draws and what they do to a picture, so that given draws can be replayed.
#include <cstdint>

#include "core/random.h"
#include "degradation/planes.h"
#include "degradation/random_field.h"

namespace lpnsr {

// Standard normals; one channel for gray noise.
Planes draw_normals(int64_t channels, int64_t height, int64_t width, RandomField& field);
// clamp(x + sigma / 255 * n, 0, 1)
void add_gaussian_noise(Planes& picture, double sigma, const Planes& normals);

// What resshift and realesrgan count photons of: the picture, or its luma where the noise is gray, rounded to 8 bits.
struct Photons {
  int64_t channels = 0, height = 0, width = 0;
  Buffer<uint8_t> levels;  // [channels][height][width]
  int64_t at_white = 1;    // 2^ceil(log2(number of distinct levels))
};
Photons photons_of(const Planes& picture, bool gray);
Planes draw_counts(const Photons& photons, RandomField& field);  // of the rates level / 255 * at_white
// clamp(x + (count / at_white - level / 255) * scale, 0, 1)
void add_poisson_noise(Planes& picture, double scale, const Photons& photons, const Planes& counts);

// The released script's Poisson noise: counts of the rates 255 scale x, of the channels' mean where gray, take the picture's place.
Planes released_rates(const Planes& picture, double scale, bool gray);
Planes draw_counts(const Planes& rates, RandomStream& stream);
void become_counts(Planes& picture, double scale, const Planes& counts);  // clamp(count / (255 scale), 0, 1)

}  // namespace lpnsr
