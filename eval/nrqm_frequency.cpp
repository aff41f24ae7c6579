// NRQM's local frequency features: overlapping 7x7 blocks under the DCT.
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/vectorised.h"
#include "eval/generalised_gaussian.h"
#include "eval/nrqm.h"

namespace lpnsr {
namespace {

constexpr int64_t dct_size = 7, dct_step = 3;
using Block = std::array<double, dct_size * dct_size>;

// Orthonormal DCT-II: row k is the k-th cosine.
const Block& cosines() {
  static const Block table = [] {
    Block rows{};
    for (int64_t k = 0; k < dct_size; ++k) {
      for (int64_t n = 0; n < dct_size; ++n) {
        const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / dct_size);
        rows[static_cast<size_t>(k * dct_size + n)] =
            scale * std::cos(std::numbers::pi * static_cast<double>((2 * n + 1) * k) / (2.0 * dct_size));
      }
    }
    return rows;
  }();
  return table;
}

// Eight sums, one for each frequency, so that the inner loop is one vector.
LPNSR_VECTORISED void transform(const Block& pixels, const Block& cosine, Block& frequencies) {
  Block half{};
  for (size_t k = 0; k < dct_size; ++k) {
    for (size_t y = 0; y < dct_size; ++y) {
      for (size_t x = 0; x < dct_size; ++x) half[k * dct_size + x] += cosine[k * dct_size + y] * pixels[y * dct_size + x];
    }
  }
  for (size_t k = 0; k < dct_size; ++k) {
    for (size_t l = 0; l < dct_size; ++l) {
      double sum = 0;
      for (size_t x = 0; x < dct_size; ++x) sum += half[k * dct_size + x] * cosine[l * dct_size + x];
      frequencies[k * dct_size + l] = sum;
    }
  }
}

// Places (row * 7 + column) of the frequencies near the horizontal axis, the diagonal and the vertical axis.
const std::array<std::vector<size_t>, 3>& orientation_groups() {
  static const std::array<std::vector<size_t>, 3> groups = [] {
    std::array<std::vector<size_t>, 3> g;
    constexpr std::array<size_t, 4> axis_begin = {1, 2, 4, 5};
    constexpr std::array<std::array<size_t, 2>, 7> diagonal = {{{0, 0}, {1, 2}, {2, 4}, {2, 5}, {3, 7}, {4, 7}, {4, 7}}};
    for (size_t i = 0; i < axis_begin.size(); ++i) {
      for (size_t j = axis_begin[i]; j < dct_size; ++j) {
        g[0].push_back(i * dct_size + j);
        g[2].push_back(j * dct_size + i);
      }
    }
    for (size_t i = 0; i < dct_size; ++i) {
      for (size_t j = diagonal[i][0]; j < diagonal[i][1]; ++j) g[1].push_back(i * dct_size + j);
    }
    return g;
  }();
  return groups;
}

// Deviation (n-1) of the magnitudes over their mean.
template <class Places>
double variation(const Block& frequencies, const Places& places, double floor) {
  double sum = 0, squares = 0;
  for (const size_t i : places) sum += std::abs(frequencies[i]);
  const auto n = static_cast<double>(places.size());
  const double mean = sum / n;
  for (const size_t i : places) squares += (std::abs(frequencies[i]) - mean) * (std::abs(frequencies[i]) - mean);
  return std::sqrt(squares / (n - 1)) / (mean + floor);
}

double block_shape(const Block& frequencies) {
  static const ShapeGrid grid(0.03, true);
  constexpr double n = dct_size * dct_size - 1;
  double sum = 0, squares = 0, magnitudes = 0;
  for (size_t i = 1; i < frequencies.size(); ++i) sum += frequencies[i];
  const double mean = sum / n;
  for (size_t i = 1; i < frequencies.size(); ++i) {
    squares += (frequencies[i] - mean) * (frequencies[i] - mean);
    magnitudes += std::abs(frequencies[i] - mean);
  }
  return grid.shape(grid.nearest(squares / (n - 1) / (magnitudes / n * (magnitudes / n) + 1e-7)));
}

double orientation_variance(const Block& frequencies) {
  std::array<double, 3> ratios{};
  for (size_t g = 0; g < 3; ++g) ratios[g] = variation(frequencies, orientation_groups()[g], 1e-8);
  const double mean = (ratios[0] + ratios[1] + ratios[2]) / 3;
  double squares = 0;
  for (const double ratio : ratios) squares += (ratio - mean) * (ratio - mean);
  return squares / 2;
}

double mean_between(const std::vector<double>& values, size_t begin, size_t end) {
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(begin), last = values.begin() + static_cast<std::ptrdiff_t>(end);
  return std::accumulate(first, last, 0.0) / static_cast<double>(end - begin);
}

void add_frequency_features(const Plane& plane, std::vector<double>& to) {
  // TensorFlow's "same": blocks at every third pixel, zeros around, the smaller half of them before.
  const auto places = [](int64_t side) { return (side + dct_step - 1) / dct_step; };
  const auto before = [&places](int64_t side) { return std::max<int64_t>((places(side) - 1) * dct_step + dct_size - side, 0) / 2; };
  const int64_t down = places(plane.height), across = places(plane.width);
  const auto count = static_cast<size_t>(down * across);
  std::vector<double> shapes(count), variations(count), orientations(count);
  static const std::vector<size_t> without_mean = [] {
    std::vector<size_t> all(dct_size * dct_size - 1);
    std::iota(all.begin(), all.end(), size_t{1});
    return all;
  }();
  for_rows(down, [&](int64_t begin, int64_t end) {
    Block pixels{}, frequencies{};
    for (int64_t i = begin * across; i < end * across; ++i) {
      const int64_t top = i / across * dct_step - before(plane.height), left = i % across * dct_step - before(plane.width);
      for (int64_t k = 0; k < dct_size * dct_size; ++k) {
        const int64_t y = top + k / dct_size, x = left + k % dct_size;
        const bool inside = y >= 0 && y < plane.height && x >= 0 && x < plane.width;
        pixels[static_cast<size_t>(k)] = inside ? plane.row(y)[x] : 0.0;
      }
      transform(pixels, cosines(), frequencies);
      shapes[static_cast<size_t>(i)] = block_shape(frequencies);
      variations[static_cast<size_t>(i)] = variation(frequencies, without_mean, 1e-7);
      orientations[static_cast<size_t>(i)] = orientation_variance(frequencies);
    }
  });
  for (auto* values : {&shapes, &variations, &orientations}) std::sort(values->begin(), values->end());
  const auto tenth = static_cast<size_t>(std::ceil(0.1 * static_cast<double>(count))) + 1;
  const auto nine_tenths = static_cast<size_t>(std::floor(0.9 * static_cast<double>(count)));
  to.push_back(mean_between(shapes, 0, std::min(tenth, count)));
  to.push_back(mean_between(shapes, 0, count));
  for (const auto* values : {&variations, &orientations}) {
    to.push_back(mean_between(*values, nine_tenths, count));
    to.push_back(mean_between(*values, 0, count));
  }
}

}  // namespace

std::vector<double> nrqm_frequency_features(const Plane& luma) {
  std::vector<double> features;
  for (const auto& level : nrqm_pyramid(luma)) add_frequency_features(level, features);
  return features;
}

}  // namespace lpnsr
