#include <cmath>

#include <gtest/gtest.h>

#include "degradation/noise.h"

namespace lpnsr {
namespace {

// Both samplers, and the seam between them, against the law itself.
TEST(Poisson, FollowsTheLaw) {
  for (const double rate : {0.02, 0.7, 3.0, 9.99, 10.01, 25.0, 240.0}) {
    RandomStream stream(42);
    constexpr int kDraws = 60000;
    std::map<int64_t, double> counts;
    for (int i = 0; i < kDraws; ++i) counts[draw_poisson(rate, stream)] += 1;
    double chi = 0.0, degrees = -1.0, rest = kDraws, rest_expected = kDraws;
    for (int64_t k = 0; k < 400; ++k) {
      const double expected = kDraws * std::exp(static_cast<double>(k) * std::log(rate) - rate - std::lgamma(static_cast<double>(k) + 1.0));
      if (expected < 10.0) continue;
      const double got = counts.contains(k) ? counts[k] : 0.0;
      chi += (got - expected) * (got - expected) / expected;
      degrees += 1, rest -= got, rest_expected -= expected;
    }
    if (rest_expected > 1.0) chi += (rest - rest_expected) * (rest - rest_expected) / rest_expected, degrees += 1;
    degrees = std::max(degrees, 1.0);
    EXPECT_LE(chi, degrees * std::pow(1 - 2 / (9 * degrees) + 3.719 * std::sqrt(2 / (9 * degrees)), 3)) << rate;
  }
}

TEST(Poisson, NoRateNoCount) {
  RandomStream stream(1);
  EXPECT_EQ(draw_poisson(0.0, stream), 0);
  EXPECT_EQ(draw_poisson(-1.0, stream), 0);
  EXPECT_EQ(draw_poisson(std::nan(""), stream), 0);
}

struct Moments {
  double mean = 0.0, deviation = 0.0;
};

Moments moments_of_difference(const Planes& noisy, float level) {
  double sum = 0.0, squares = 0.0;
  for (const float value : noisy.values) sum += value - level, squares += (value - level) * (value - level);
  const auto n = static_cast<double>(noisy.values.size());
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n)};
}

TEST(Noise, HasTheStatedDeviations) {
  constexpr int64_t kSide = 160;
  constexpr float kLevel = 128.0F / 255.0F;
  Planes flat(3, kSide, kSide);
  std::fill(flat.values.begin(), flat.values.end(), kLevel);
  const auto n = static_cast<double>(flat.values.size());
  RandomStream stream(7);

  Planes gaussian = flat;
  add_gaussian_noise(gaussian, 20.0, draw_normals(3, kSide, kSide, stream));
  EXPECT_NEAR(moments_of_difference(gaussian, kLevel).deviation, 20.0 / 255, 5 * 20.0 / 255 / std::sqrt(2 * n));

  Planes levels = flat;  // every level once, so that 256 photons make white
  for (int i = 0; i < 256; ++i) levels.values[static_cast<size_t>(i)] = static_cast<float>(i) / 255.0F;
  Planes counted = levels;
  add_poisson_noise(counted, 1.0, false, "resshift", draw_counts(poisson_rates(levels, 1.0, false, "resshift"), stream));
  counted.values.erase(counted.values.begin(), counted.values.begin() + 256);
  const double expected = std::sqrt(kLevel / 256.0);
  EXPECT_NEAR(moments_of_difference(counted, kLevel).deviation, expected, 5 * expected / std::sqrt(2 * n));
  EXPECT_NEAR(moments_of_difference(counted, kLevel).mean, 0.0, 5 * expected / std::sqrt(n));

  Planes released = flat;  // a larger scale means less noise
  add_poisson_noise(released, 3.0, false, "lpnsr", draw_counts(poisson_rates(flat, 3.0, false, "lpnsr"), stream));
  const double released_expected = std::sqrt(kLevel / (255.0 * 3.0));
  EXPECT_NEAR(moments_of_difference(released, kLevel).deviation, released_expected, 5 * released_expected / std::sqrt(2 * n));
}

}  // namespace
}  // namespace lpnsr
