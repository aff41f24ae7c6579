#include "degradation/noise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/vectorised.h"
#include "degradation/poisson.h"

namespace lpnsr {
namespace {

constexpr int64_t kChunk = 1024;

LPNSR_INLINE float unit_range(float value) { return std::min(std::max(value, 0.0F), 1.0F); }

LPNSR_VECTORISED void add_scaled(float* values, const float* noise, float scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = unit_range(values[i] + noise[i] * scale);
}

LPNSR_VECTORISED void luma_of(const float* r, const float* g, const float* b, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = 0.2989F * r[i] + 0.587F * g[i] + 0.114F * b[i];
}

LPNSR_VECTORISED void levels_of(const float* values, uint8_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(std::min(std::max(std::nearbyint(values[i] * 255.0F), 0.0F), 255.0F)));
  }
}

LPNSR_VECTORISED void add_photon_noise(float* values, const float* counts, const uint8_t* levels, float at_white, float scale,
                                       int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float noise = counts[i] / at_white - static_cast<float>(static_cast<int32_t>(levels[i])) / 255.0F;
    values[i] = unit_range(values[i] + noise * scale);
  }
}

int64_t distinct(const Buffer<uint8_t>& levels) {
  std::array<uint8_t, 256> seen{};
  for (const uint8_t level : levels) seen[level] = 1;
  return std::count(seen.begin(), seen.end(), uint8_t{1});
}

}  // namespace

Planes draw_normals(int64_t channels, int64_t height, int64_t width, RandomField& field) {
  Planes normals(channels, height, width);
  field.fill_normals(normals.values.data(), static_cast<int64_t>(normals.values.size()));
  return normals;
}

void add_gaussian_noise(Planes& picture, double sigma, const Planes& normals) {
  for (int64_t c = 0; c < picture.channels; ++c) {
    add_scaled(picture.plane(c), normals.plane(normals.channels == 1 ? 0 : c), static_cast<float>(sigma / 255.0), picture.area());
  }
}

Photons photons_of(const Planes& picture, bool gray) {
  Photons photons;
  photons.channels = gray ? 1 : picture.channels;
  photons.height = picture.height, photons.width = picture.width;
  photons.levels.resize(static_cast<size_t>(photons.channels * picture.area()));
  if (gray) {
    Planes luma(1, picture.height, picture.width);
    luma_of(picture.plane(0), picture.plane(1), picture.plane(2), luma.plane(0), picture.area());
    levels_of(luma.plane(0), photons.levels.data(), picture.area());
  } else {
    levels_of(picture.plane(0), photons.levels.data(), static_cast<int64_t>(picture.values.size()));
  }
  photons.at_white = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(distinct(photons.levels))));
  return photons;
}

Planes draw_counts(const Photons& photons, RandomField& field) {
  Planes counts(photons.channels, photons.height, photons.width);
  const PoissonTable& table = PoissonTable::of(photons.at_white);
  uint32_t bits[kChunk];
  const auto total = static_cast<int64_t>(photons.levels.size());
  for (int64_t done = 0; done < total; done += kChunk) {
    field.fill_bits(bits, kChunk);
    table.draw(photons.levels.data() + done, bits, counts.values.data() + done, std::min(kChunk, total - done));
  }
  return counts;
}

void add_poisson_noise(Planes& picture, double scale, const Photons& photons, const Planes& counts) {
  for (int64_t c = 0; c < picture.channels; ++c) {
    const int64_t from = photons.channels == 1 ? 0 : c;
    add_photon_noise(picture.plane(c), counts.plane(from), photons.levels.data() + from * picture.area(),
                     static_cast<float>(photons.at_white), static_cast<float>(scale), picture.area());
  }
}

Planes released_rates(const Planes& picture, double scale, bool gray) {
  Planes rates = picture;
  if (gray) {
    rates = Planes(1, picture.height, picture.width);
    for (int64_t i = 0; i < picture.area(); ++i) {
      float sum = 0.0F;
      for (int64_t c = 0; c < picture.channels; ++c) sum += picture.plane(c)[i];
      rates.values[static_cast<size_t>(i)] = sum / static_cast<float>(picture.channels);
    }
  }
  for (float& rate : rates.values) rate *= static_cast<float>(255.0 * scale);
  return rates;
}

Planes draw_counts(const Planes& rates, RandomStream& stream) {
  Planes counts = rates;
  for (float& value : counts.values) value = static_cast<float>(draw_poisson(value, stream));
  return counts;
}

void become_counts(Planes& picture, double scale, const Planes& counts) {
  for (int64_t c = 0; c < picture.channels; ++c) {
    const float* from = counts.plane(counts.channels == 1 ? 0 : c);
    float* values = picture.plane(c);
    for (int64_t i = 0; i < picture.area(); ++i) values[i] = unit_range(from[i] / static_cast<float>(255.0 * scale));
  }
}

}  // namespace lpnsr
