#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/error.h"
#include "degradation/noise.h"
#include "degradation/poisson.h"

namespace lpnsr {
namespace {

// The counts' share of each value against the law itself.
void expect_poisson(const std::vector<double>& drawn, double rate, const std::string& where) {
  const auto draws = static_cast<double>(drawn.size());
  std::map<int64_t, double> counts;
  for (const double count : drawn) counts[static_cast<int64_t>(count)] += 1;
  double chi = 0.0, degrees = -1.0, rest = draws, rest_expected = draws;
  for (int64_t k = 0; k < 400; ++k) {
    const double expected = draws * std::exp(static_cast<double>(k) * std::log(rate) - rate - std::lgamma(static_cast<double>(k) + 1.0));
    if (expected < 10.0) continue;
    const double got = counts.contains(k) ? counts[k] : 0.0;
    chi += (got - expected) * (got - expected) / expected;
    degrees += 1, rest -= got, rest_expected -= expected;
  }
  if (rest_expected > 1.0) chi += (rest - rest_expected) * (rest - rest_expected) / rest_expected, degrees += 1;
  degrees = std::max(degrees, 1.0);
  EXPECT_LE(chi, degrees * std::pow(1 - 2 / (9 * degrees) + 3.719 * std::sqrt(2 / (9 * degrees)), 3)) << where;
}

// Both samplers, and the seam between them.
TEST(Poisson, FollowsTheLaw) {
  for (const double rate : {0.02, 0.7, 3.0, 9.99, 10.01, 25.0, 240.0}) {
    RandomStream stream(42);
    std::vector<double> drawn(60000);
    for (double& count : drawn) count = static_cast<double>(draw_poisson(rate, stream));
    expect_poisson(drawn, rate, std::to_string(rate));
  }
}

TEST(Poisson, TablesFollowTheLaw) {
  for (const int64_t at_white : {1, 16, 128, 256}) {
    for (const int level : {1, 10, 128, 255}) {
      RandomField field(static_cast<uint64_t>(at_white * 1000 + level));
      const std::vector<uint8_t> levels(60000, static_cast<uint8_t>(level));
      std::vector<uint32_t> bits(levels.size());
      field.fill_bits(bits.data(), static_cast<int64_t>(bits.size()));
      std::vector<float> counts(levels.size());
      PoissonTable::of(at_white).draw(levels.data(), bits.data(), counts.data(), static_cast<int64_t>(counts.size()));
      expect_poisson({counts.begin(), counts.end()}, level / 255.0 * static_cast<double>(at_white),
                     fmt::format("{} of {}", level, at_white));
    }
  }
  EXPECT_THROW(PoissonTable::of(3), Error);
}

TEST(Poisson, BlackHasNoPhotons) {
  const std::vector<uint8_t> levels(100, 0);
  std::vector<uint32_t> bits(100, 0xFFFFFFFFU);
  std::vector<float> counts(100, 1.0F);
  PoissonTable::of(256).draw(levels.data(), bits.data(), counts.data(), 100);
  EXPECT_THAT(counts, ::testing::Each(0.0F));
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
  RandomField field(7);

  Planes gaussian = flat;
  add_gaussian_noise(gaussian, 20.0, draw_normals(3, kSide, kSide, field));
  EXPECT_NEAR(moments_of_difference(gaussian, kLevel).deviation, 20.0 / 255, 5 * 20.0 / 255 / std::sqrt(2 * n));

  Planes levels = flat;  // every level once, so that 256 photons make white
  for (int i = 0; i < 256; ++i) levels.values[static_cast<size_t>(i)] = static_cast<float>(i) / 255.0F;
  Planes counted = levels;
  const Photons photons = photons_of(levels, false);
  add_poisson_noise(counted, 1.0, photons, draw_counts(photons, field));
  counted.values.erase(counted.values.begin(), counted.values.begin() + 256);
  const double expected = std::sqrt(kLevel / 256.0);
  EXPECT_NEAR(moments_of_difference(counted, kLevel).deviation, expected, 5 * expected / std::sqrt(2 * n));
  EXPECT_NEAR(moments_of_difference(counted, kLevel).mean, 0.0, 5 * expected / std::sqrt(n));

  Planes released = flat;  // a larger scale means less noise
  RandomStream stream(7);
  become_counts(released, 3.0, draw_counts(released_rates(flat, 3.0, false), stream));
  const double released_expected = std::sqrt(kLevel / (255.0 * 3.0));
  EXPECT_NEAR(moments_of_difference(released, kLevel).deviation, released_expected, 5 * released_expected / std::sqrt(2 * n));
}

}  // namespace
}  // namespace lpnsr
