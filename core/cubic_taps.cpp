#include "core/cubic_taps.h"

#include <cmath>

namespace lpnsr {

double keys_cubic(double x) {
  x = std::abs(x);
  if (x <= 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
  return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

namespace {

// ... c b a | a b c | c b a ...
int64_t mirrored(int64_t index, int64_t size) {
  const int64_t period = 2 * size;
  index = (index % period + period) % period;
  return index < size ? index : period - 1 - index;
}

}  // namespace

CubicTaps cubic_taps(int64_t in, int64_t out, double scale, bool antialias) {
  const double stretch = antialias ? std::min(scale, 1.0) : 1.0;
  const double width = 4.0 / stretch;
  CubicTaps taps;
  taps.count = static_cast<int64_t>(std::ceil(width)) + 2;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) / scale - 0.5;
    const auto first = static_cast<int64_t>(std::floor(centre - width / 2.0));
    double sum = 0.0;
    for (int64_t j = first; j < first + taps.count; ++j) sum += keys_cubic(stretch * (centre - static_cast<double>(j)));
    for (int64_t j = first; j < first + taps.count; ++j) {
      taps.indices.push_back(mirrored(j, in));
      taps.weights.push_back(keys_cubic(stretch * (centre - static_cast<double>(j))) / sum);
    }
  }
  return taps;
}

}  // namespace lpnsr
