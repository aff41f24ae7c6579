#pragma once
// Noise in two steps, the draws and what they do to a picture, so that given draws can be replayed.
#include <string>

#include "core/random.h"
#include "degradation/planes.h"

namespace lpnsr {

// Poisson-distributed counts, exact for any rate: inversion for small rates, transformed rejection (Hörmann 1993, PTRS) above.
int64_t draw_poisson(double rate, RandomStream& stream);

// Standard normals; one channel for gray noise.
Planes draw_normals(int64_t channels, int64_t height, int64_t width, RandomStream& stream);
// clamp(x + sigma / 255 * n, 0, 1)
void add_gaussian_noise(Planes& picture, double sigma, const Planes& normals);

// Rates of the counts of `scale` and `gray` in a flavour: resshift (and realesrgan) counts photons of the picture rounded to 8 bits in
// units of 1 / 2^ceil(log2(number of distinct values)); lpnsr counts in units of 1 / (255 scale).
Planes poisson_rates(const Planes& picture, double scale, bool gray, const std::string& flavour);
Planes draw_counts(const Planes& rates, RandomStream& stream);
void add_poisson_noise(Planes& picture, double scale, bool gray, const std::string& flavour, const Planes& counts);

}  // namespace lpnsr
