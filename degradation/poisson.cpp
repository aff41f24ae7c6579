#include "degradation/poisson.h"

#include <algorithm>
#include <cmath>
#include <math.h>

#include "core/error.h"
#include "core/vectorised.h"

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

constexpr double kWhole = 1 << 24;  // of a slot: thresholds have 24 bits

// Vose's way to Walker's tables: slots with less than their share are filled up from slots with more.
void make_aliases(std::vector<double> shares, uint32_t* slots) {
  std::vector<uint32_t> below, above;
  for (uint32_t i = 0; i < shares.size(); ++i) {
    slots[i] = (static_cast<uint32_t>(kWhole) - 1) << 8 | i;
    (shares[i] < 1.0 ? below : above).push_back(i);
  }
  while (!below.empty() && !above.empty()) {
    const uint32_t poor = below.back(), rich = above.back();
    below.pop_back();
    slots[poor] = static_cast<uint32_t>(shares[poor] * kWhole) << 8 | rich;
    shares[rich] -= 1.0 - shares[poor];
    if (shares[rich] < 1.0) {
      above.pop_back();
      below.push_back(rich);
    }
  }
}

LPNSR_VECTORISED void draw_by_alias(const uint32_t* __restrict slots, const int32_t* __restrict smallest, const uint8_t* __restrict levels,
                                    const uint32_t* __restrict bits, float* __restrict counts, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    const auto level = static_cast<int32_t>(levels[i]), slot = static_cast<int32_t>(bits[i] >> 24);
    const auto entry = static_cast<int32_t>(slots[level * 256 + slot]);
    const auto draw = static_cast<int32_t>(bits[i] & 0xFFFFFFU), threshold = static_cast<int32_t>(static_cast<uint32_t>(entry) >> 8);
    counts[i] = static_cast<float>(smallest[level] + (draw < threshold ? slot : entry & 255));
  }
}

}  // namespace

int64_t draw_poisson(double rate, RandomStream& stream) {
  if (!(rate > 0.0)) return 0;
  return rate < 10.0 ? poisson_by_inversion(rate, stream) : poisson_by_rejection(rate, stream);
}

PoissonTable::PoissonTable(int64_t at_white) : slots_(256 * kSlots) {
  for (int level = 0; level < 256; ++level) {
    // In single precision, as the references multiply.
    const double rate = static_cast<float>(level) / 255.0F * static_cast<float>(at_white);
    // The 256 counts around the mean lie 8 deviations and more to each side, for rates of at most 256.
    const auto smallest = std::max<int64_t>(0, static_cast<int64_t>(rate) - kSlots / 2);
    std::vector<double> shares(kSlots);
    double sum = 0.0;
    for (int slot = 0; slot < kSlots; ++slot) {
      const auto count = static_cast<double>(smallest + slot);
      shares[static_cast<size_t>(slot)] = rate > 0.0 ? std::exp(count * std::log(rate) - rate - log_factorial(count)) : count == 0.0;
      sum += shares[static_cast<size_t>(slot)];
    }
    for (double& share : shares) share *= kSlots / sum;
    smallest_count_[static_cast<size_t>(level)] = static_cast<int32_t>(smallest);
    make_aliases(std::move(shares), slots_.data() + level * kSlots);
  }
}

const PoissonTable& PoissonTable::of(int64_t at_white) {
  static const std::array<PoissonTable, 9> tables = {PoissonTable(1),  PoissonTable(2),   PoissonTable(4),
                                                     PoissonTable(8),  PoissonTable(16),  PoissonTable(32),
                                                     PoissonTable(64), PoissonTable(128), PoissonTable(256)};
  for (size_t i = 0; i < tables.size(); ++i) {
    if (at_white == int64_t{1} << i) return tables[i];
  }
  throw Error("Poisson noise: the photons at white are not a power of two up to 256");
}

void PoissonTable::draw(const uint8_t* levels, const uint32_t* bits, float* counts, int64_t size) const {
  draw_by_alias(slots_.data(), smallest_count_.data(), levels, bits, counts, size);
}

}  // namespace lpnsr
