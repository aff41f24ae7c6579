#include "degradation/blur.h"

#include <algorithm>
#include <cmath>

#include "core/vectorised.h"

namespace lpnsr {
namespace {

constexpr double kNegligible = 1e-9;  // of a kernel that sums to one

struct Tap {
  int64_t offset;  // in the padded picture
  float weight;
};

// Eight numbers in one register, wherever they lie in memory; processors without such registers take two halves.
using Eight = float __attribute__((vector_size(32), aligned(4), may_alias));

template <int kRegisters>
LPNSR_INLINE int64_t correlate_blocks(const float* source, const Tap* taps, int64_t tap_count, int64_t x, int64_t count, float* out) {
  for (; x + 8 * kRegisters <= count; x += 8 * kRegisters) {
    Eight sums[kRegisters] = {};
    for (int64_t k = 0; k < tap_count; ++k) {
      const auto* values = reinterpret_cast<const Eight*>(source + taps[k].offset + x);
#pragma GCC unroll 8
      for (int i = 0; i < kRegisters; ++i) sums[i] += taps[k].weight * values[i];
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRegisters; ++i) reinterpret_cast<Eight*>(out + x)[i] = sums[i];
  }
  return x;
}

// Eight registers of sums hide the time that an addition takes.
LPNSR_VECTORISED void correlate_row(const float* source, const Tap* taps, int64_t tap_count, int64_t count, float* out) {
  int64_t x = correlate_blocks<8>(source, taps, tap_count, 0, count, out);
  x = correlate_blocks<2>(source, taps, tap_count, x, count, out);
  x = correlate_blocks<1>(source, taps, tap_count, x, count, out);
  for (; x < count; ++x) {
    float sum = 0.0F;
    for (int64_t k = 0; k < tap_count; ++k) sum += taps[k].weight * source[taps[k].offset + x];
    out[x] = sum;
  }
}

void correlate_row(const float* source, const std::vector<Tap>& taps, int64_t count, float* out) {
  correlate_row(source, taps.data(), static_cast<int64_t>(taps.size()), count, out);
}

// One plane with `margin` more pixels on each side.
Buffer<float> extended(const Planes& picture, int64_t channel, int64_t margin, Border border) {
  const int64_t stride = picture.width + 2 * margin;
  Buffer<float> result(static_cast<size_t>(stride * (picture.height + 2 * margin)));
  for (int64_t y = -margin; y < picture.height + margin; ++y) {
    const float* from = picture.row(channel, reflected(y, picture.height));
    float* to = result.data() + (y + margin) * stride + margin;
    if (border == Border::zero) {
      std::fill(to - margin, to + picture.width + margin, 0.0F);
      if (y >= 0 && y < picture.height) std::copy(from, from + picture.width, to);
      continue;
    }
    std::copy(from, from + picture.width, to);
    for (int64_t x = 1; x <= margin; ++x) {
      to[-x] = from[reflected(-x, picture.width)];
      to[picture.width - 1 + x] = from[reflected(picture.width - 1 + x, picture.width)];
    }
  }
  return result;
}

// The farthest row or column from the centre that matters.
int64_t reach(const Kernel& kernel) {
  const int64_t centre = kernel.size / 2;
  int64_t farthest = 0;
  for (int64_t row = 0; row < kernel.size; ++row) {
    for (int64_t column = 0; column < kernel.size; ++column) {
      if (std::abs(kernel.at(row, column)) > kNegligible)
        farthest = std::max({farthest, std::abs(row - centre), std::abs(column - centre)});
    }
  }
  return farthest;
}

bool is_separable(const Kernel& kernel) {
  const int64_t centre = kernel.size / 2;
  const double peak = kernel.at(centre, centre);
  for (int64_t row = 0; row < kernel.size; ++row) {
    for (int64_t column = 0; column < kernel.size; ++column) {
      const double difference = kernel.at(row, column) * peak - kernel.at(row, centre) * kernel.at(centre, column);
      if (std::abs(difference) > 1e-9 * peak * peak) return false;
    }
  }
  return peak > 0.0;
}

void add_tap(std::vector<Tap>& taps, int64_t offset, double weight) {
  if (std::abs(weight) > kNegligible) taps.push_back({offset, static_cast<float>(weight)});
}

}  // namespace

Planes filter(const Planes& picture, const Kernel& kernel, Border border) {
  const int64_t margin = reach(kernel), centre = kernel.size / 2, taps = 2 * margin + 1;
  const int64_t height = picture.height, width = picture.width, stride = width + 2 * margin;
  const bool separable = margin > 0 && is_separable(kernel);
  std::vector<Tap> across, down;
  for (int64_t i = 0; i < taps; ++i) {
    const int64_t row = centre - margin + i;
    if (separable) {
      add_tap(down, i * stride, kernel.at(row, centre));
      add_tap(across, i, kernel.at(centre, row) / kernel.at(centre, centre));
      continue;
    }
    for (int64_t j = 0; j < taps; ++j) add_tap(across, i * stride + j, kernel.at(row, centre - margin + j));
  }
  Planes result(picture.channels, height, width);
  Buffer<float> blurred_down(static_cast<size_t>(separable ? stride : 0));
  for (int64_t c = 0; c < picture.channels; ++c) {
    const Buffer<float> source = extended(picture, c, margin, border);
    for (int64_t y = 0; y < height; ++y) {
      const float* row = source.data() + y * stride;
      if (separable) {
        correlate_row(row, down, stride, blurred_down.data());
        row = blurred_down.data();
      }
      correlate_row(row, across, width, result.row(c, y));
    }
  }
  return result;
}

Planes sharpen(const Planes& picture) {
  constexpr int64_t kSize = 51;
  constexpr float kThreshold = 10.0F, kWeight = 0.5F;
  const double sigma = 0.3 * ((kSize - 1) * 0.5 - 1.0) + 0.8;  // OpenCV's rule for a Gaussian of that size
  const Kernel kernel = gaussian_kernel(kSize, sigma);
  Planes residual = filter(picture, kernel, Border::reflect);
  Planes mask = residual;
  for (size_t i = 0; i < picture.values.size(); ++i) {
    residual.values[i] = picture.values[i] - residual.values[i];
    mask.values[i] = std::abs(residual.values[i]) * 255.0F > kThreshold ? 1.0F : 0.0F;
  }
  Planes result = filter(mask, kernel, Border::reflect);
  for (size_t i = 0; i < picture.values.size(); ++i) {
    const float sharp = std::clamp(picture.values[i] + kWeight * residual.values[i], 0.0F, 1.0F), share = result.values[i];
    result.values[i] = share * sharp + (1.0F - share) * picture.values[i];
  }
  return result;
}

}  // namespace lpnsr
