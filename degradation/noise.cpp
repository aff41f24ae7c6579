#include "degradation/noise.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <math.h>

namespace lpnsr {
namespace {

double log_factorial(double k) {
  int sign = 0;
  return lgamma_r(k + 1.0, &sign);  // std::lgamma writes a global
}

int64_t poisson_by_inversion(double rate, RandomStream& stream) {
  const double u = stream.uniform();
  double probability = std::exp(-rate), sum = probability;
  int64_t count = 0;
  while (u >= sum && count < 200) {
    ++count;
    probability *= rate / static_cast<double>(count);
    sum += probability;
  }
  return count;
}

int64_t poisson_by_rejection(double rate, RandomStream& stream) {
  const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double v_r = 0.9277 - 3.6224 / (b - 2.0);
  while (true) {
    const double u = stream.uniform() - 0.5, v = stream.uniform();
    const double us = 0.5 - std::abs(u);
    const double k = std::floor((2.0 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= v_r) return static_cast<int64_t>(k);
    if (k < 0.0 || (us < 0.013 && v > us)) continue;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    if (std::log(v * inverse_alpha / (a / (us * us) + b)) <= k * std::log(rate) - rate - log_factorial(k)) return static_cast<int64_t>(k);
  }
}

// The picture that photons are counted of: rounded to 8 bits, its luma where the noise is gray.
Planes counted_picture(const Planes& picture, bool gray) {
  Planes counted = picture;
  if (gray) {
    counted = Planes(1, picture.height, picture.width);
    for (int64_t i = 0; i < picture.area(); ++i) {
      counted.values[static_cast<size_t>(i)] = 0.2989F * picture.plane(0)[i] + 0.587F * picture.plane(1)[i] + 0.114F * picture.plane(2)[i];
    }
  }
  round_to_8_bits(counted);
  return counted;
}

float photons_at_white(const Planes& counted) {
  std::bitset<256> seen;
  for (const float value : counted.values) seen.set(static_cast<size_t>(std::nearbyint(value * 255.0F)));
  float photons = 1.0F;
  while (photons < static_cast<float>(seen.count())) photons *= 2.0F;
  return photons;
}

Planes channel_mean(const Planes& picture) {
  Planes mean(1, picture.height, picture.width);
  for (int64_t i = 0; i < picture.area(); ++i) {
    float sum = 0.0F;
    for (int64_t c = 0; c < picture.channels; ++c) sum += picture.plane(c)[i];
    mean.values[static_cast<size_t>(i)] = sum / static_cast<float>(picture.channels);
  }
  return mean;
}

}  // namespace

int64_t draw_poisson(double rate, RandomStream& stream) {
  if (!(rate > 0.0)) return 0;
  return rate < 10.0 ? poisson_by_inversion(rate, stream) : poisson_by_rejection(rate, stream);
}

Planes draw_normals(int64_t channels, int64_t height, int64_t width, RandomStream& stream) {
  Planes normals(channels, height, width);
  for (float& value : normals.values) value = static_cast<float>(stream.normal());
  return normals;
}

void add_gaussian_noise(Planes& picture, double sigma, const Planes& normals) {
  const auto scale = static_cast<float>(sigma / 255.0);
  for (int64_t c = 0; c < picture.channels; ++c) {
    const float* noise = normals.plane(normals.channels == 1 ? 0 : c);
    float* values = picture.plane(c);
    for (int64_t i = 0; i < picture.area(); ++i) values[i] += noise[i] * scale;
  }
  clamp01(picture);
}

Planes poisson_rates(const Planes& picture, double scale, bool gray, const std::string& flavour) {
  const bool released_script = flavour == "lpnsr";
  Planes rates = !released_script ? counted_picture(picture, gray) : gray ? channel_mean(picture) : picture;
  const float unit = released_script ? static_cast<float>(255.0 * scale) : photons_at_white(rates);
  for (float& rate : rates.values) rate *= unit;
  return rates;
}

Planes draw_counts(const Planes& rates, RandomStream& stream) {
  Planes counts = rates;
  for (float& value : counts.values) value = static_cast<float>(draw_poisson(value, stream));
  return counts;
}

void add_poisson_noise(Planes& picture, double scale, bool gray, const std::string& flavour, const Planes& counts) {
  const bool released_script = flavour == "lpnsr";
  const Planes counted = released_script ? Planes() : counted_picture(picture, gray);
  const float unit = released_script ? static_cast<float>(255.0 * scale) : photons_at_white(counted);
  for (int64_t c = 0; c < picture.channels; ++c) {
    const int64_t from = counts.channels == 1 ? 0 : c;
    float* values = picture.plane(c);
    for (int64_t i = 0; i < picture.area(); ++i) {
      const float noisy = counts.plane(from)[i] / unit;
      values[i] = released_script ? noisy : values[i] + (noisy - counted.plane(from)[i]) * static_cast<float>(scale);
    }
  }
  clamp01(picture);
}

}  // namespace lpnsr
