// NRQM's global spatial features: bands of a steerable pyramid, divided by their local energy under a Gaussian scale mixture.
#include <array>
#include <cmath>

#include <ATen/Functions.h>

#include "core/vectorised.h"
#include "eval/generalised_gaussian.h"
#include "eval/nrqm.h"
#include "eval/ssim_map.h"
#include "eval/steerable_pyramid.h"

namespace lpnsr {
namespace {

constexpr int64_t band_levels = 2, band_orientations = 6;
constexpr int64_t guard_band = 16;

// The rows that hold each coefficient's neighbours: the 3x3 around it, its parent where there is one, and the other orientations.
class Neighbourhood {
 public:
  Neighbourhood(const std::vector<Plane>& bands, size_t own, const Plane* parent) {
    for (int64_t k = 0; k < 9; ++k) sources_.push_back({&bands[own], k / 3, k % 3});
    if (parent != nullptr) sources_.push_back({parent, 1, 1});
    for (size_t b = 0; b < bands.size(); ++b) {
      if (b != own) sources_.push_back({&bands[b], 1, 1});
    }
  }
  size_t size() const { return sources_.size(); }
  void rows(int64_t y, std::vector<const double*>& to) const {
    to.clear();
    for (const auto& source : sources_) to.push_back(source.plane->row(y + source.down) + source.across);
  }

 private:
  struct Source {
    const Plane* plane;
    int64_t down, across;
  };
  std::vector<Source> sources_;
};

LPNSR_VECTORISED double dot(const double* a, const double* b, int64_t count) {
  std::array<double, 8> lanes{};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) lanes[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
  }
  for (; i < count; ++i) lanes[0] += a[i] * b[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

// to += factor a b
LPNSR_VECTORISED void add_product(const double* __restrict__ a, const double* __restrict__ b, double factor, double* __restrict__ to,
                                  int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += factor * a[i] * b[i];
}

// Mean of the outer products of the neighbourhoods, row by row so that the order of the sums is fixed.
at::Tensor neighbour_covariance(const Neighbourhood& neighbours, int64_t height, int64_t width) {
  const size_t n = neighbours.size();
  std::vector<std::vector<double>> by_row(static_cast<size_t>(height), std::vector<double>(n * n));
  for_rows(height, [&](int64_t begin, int64_t end) {
    std::vector<const double*> rows;
    for (int64_t y = begin; y < end; ++y) {
      neighbours.rows(y, rows);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) by_row[static_cast<size_t>(y)][i * n + j] = dot(rows[i], rows[j], width);
      }
    }
  });
  auto covariance = at::zeros({static_cast<int64_t>(n), static_cast<int64_t>(n)}, at::kDouble);
  auto values = covariance.accessor<double, 2>();
  for (const auto& row : by_row) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i; j < n; ++j) values[static_cast<int64_t>(i)][static_cast<int64_t>(j)] += row[i * n + j];
    }
  }
  return (covariance + covariance.triu(1).t()) / static_cast<double>(height * width);
}

// Pseudo-inverse of the covariance after its negative eigenvalues are cut and the others scaled to the same trace.
at::Tensor corrected_inverse(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh(covariance);
  auto kept = values.clamp_min(0);
  const double sum = kept.sum().item<double>();
  if (sum > 0) kept = kept * (values.sum().item<double>() / sum);
  const double floor = kept.max().item<double>() * static_cast<double>(kept.size(0)) * std::numeric_limits<double>::epsilon();
  const auto inverse = at::where(kept > floor, kept.reciprocal(), at::zeros_like(kept));
  return vectors.mul(inverse.unsqueeze(0)).mm(vectors.t()).contiguous();
}

// The band without its border, divided by the root of its local energy, cut by the guard band, its mean removed.
Plane energy_normalised(const std::vector<Plane>& bands, size_t own, const Plane* parent, int64_t guard) {
  const Plane& band = bands[own];
  const int64_t height = band.height - 2, width = band.width - 2;
  const Neighbourhood neighbours(bands, own, parent);
  const size_t n = neighbours.size();
  const auto inverse = corrected_inverse(neighbour_covariance(neighbours, height, width));
  const double* q = inverse.data_ptr<double>();
  const double weight = parent == nullptr ? 9 : 10;
  const Plane inner = part_of(band, 1, 1, height, width);
  double mean = 0;
  for (const double value : inner.values) mean += value;
  mean /= static_cast<double>(height * width);
  Plane result(height, width);
  for_rows(height, [&](int64_t begin, int64_t end) {
    std::vector<const double*> rows;
    std::vector<double> energy(static_cast<size_t>(width));
    for (int64_t y = begin; y < end; ++y) {
      neighbours.rows(y, rows);
      std::fill(energy.begin(), energy.end(), 0.0);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) add_product(rows[i], rows[j], (i == j ? 1 : 2) * q[i * n + j] / weight, energy.data(), width);
      }
      for (int64_t x = 0; x < width; ++x) result.row(y)[x] = (inner.row(y)[x] - mean) / std::sqrt(energy[static_cast<size_t>(x)]);
    }
  });
  Plane cut = part_of(result, guard, guard, height - 2 * guard, width - 2 * guard);
  mean = 0;
  for (const double value : cut.values) mean += value;
  mean /= static_cast<double>(cut.values.size());
  for (double& value : cut.values) value -= mean;
  return cut;
}

double band_shape(std::initializer_list<const Plane*> bands) {
  static const ShapeGrid grid(0.03, true);
  double n = 0, sum = 0, squares = 0, magnitudes = 0;
  for (const auto* band : bands) {
    n += static_cast<double>(band->values.size());
    for (const double value : band->values) sum += value;
  }
  const double mean = sum / n;
  for (const auto* band : bands) {
    for (const double value : band->values) {
      squares += (value - mean) * (value - mean);
      magnitudes += std::abs(value - mean);
    }
  }
  return grid.shape(grid.nearest(squares / (n - 1) / (magnitudes / n * (magnitudes / n) + 1e-7)));
}

}  // namespace

std::vector<Plane> nrqm_normalised_bands(const SteerablePyramid& pyramid) {
  std::vector<Plane> subbands;
  for (size_t level = 0; level < band_levels; ++level) {
    const auto& bands = pyramid.levels[level];
    for (size_t b = 0; b < band_orientations; ++b) {
      // The same orientation one level up, where there is one.
      Plane parent;
      const bool has_parent = level + 1 < band_levels;
      if (has_parent) parent = resized(pyramid.levels[level + 1][b], bands[b].height, bands[b].width);
      subbands.push_back(energy_normalised(bands, b, has_parent ? &parent : nullptr, guard_band >> level));
    }
  }
  return subbands;
}

std::vector<double> nrqm_spatial_features(const Plane& luma) {
  const auto pyramid = steerable_pyramid(luma, band_levels, band_orientations);
  const auto subbands = nrqm_normalised_bands(pyramid);
  std::vector<double> features;
  for (const auto& band : subbands) features.push_back(band_shape({&band}));
  for (size_t b = 0; b < band_orientations; ++b) features.push_back(band_shape({&subbands[b], &subbands[b + band_orientations]}));
  // Structure shared between scales, then between the orientations of the first level.
  for (const auto& level : pyramid.levels) {
    for (const auto& band : level)
      features.push_back(ssim_means(resized(band, luma.height, luma.width), pyramid.high, {.clipped = true}).contrast);
  }
  for (size_t i = 0; i < band_orientations; ++i) {
    for (size_t j = i + 1; j < band_orientations; ++j) features.push_back(ssim_means(subbands[i], subbands[j], {.clipped = true}).contrast);
  }
  return features;
}

}  // namespace lpnsr
