#include "eval/ssim_map.h"

#include <array>

#include "core/vectorised.h"

namespace lpnsr {
namespace {

constexpr int64_t ssim_window = 11;
constexpr double ssim_sigma = 1.5;
constexpr size_t moments = 5;  // a, b, aa, bb, ab

struct MomentRows {
  explicit MomentRows(int64_t width) {
    for (auto& row : rows) row.resize(static_cast<size_t>(width));
  }
  std::array<std::vector<double>, moments> rows;
};

// The five products of a row, filtered along it.
LPNSR_VECTORISED void moments_of_row(const double* __restrict__ a, const double* __restrict__ b, const double* line, int64_t width,
                                     MomentRows& to) {
  double *__restrict__ ma = to.rows[0].data(), *__restrict__ mb = to.rows[1].data(), *__restrict__ aa = to.rows[2].data(),
         *__restrict__ bb = to.rows[3].data(), *__restrict__ ab = to.rows[4].data();
  for (auto& row : to.rows) std::fill(row.begin(), row.end(), 0.0);
  for (int64_t k = 0; k < ssim_window; ++k) {
    const double weight = line[k];
    for (int64_t x = 0; x < width; ++x) {
      const double u = a[x + k], v = b[x + k], wu = weight * u, wv = weight * v;
      ma[x] += wu;
      mb[x] += wv;
      aa[x] += wu * u;
      bb[x] += wv * v;
      ab[x] += wu * v;
    }
  }
}

LPNSR_VECTORISED void similarity_of_row(const std::array<const double*, moments>& m, int64_t width, bool clipped, double* similarity,
                                        double* contrast) {
  constexpr double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
  const double *ma = m[0], *mb = m[1], *aa = m[2], *bb = m[3], *ab = m[4];
  for (int64_t x = 0; x < width; ++x) {
    const double product = ma[x] * mb[x], squares = ma[x] * ma[x] + mb[x] * mb[x];
    double factor = (2 * (ab[x] - product) + c2) / (aa[x] + bb[x] - squares + c2);
    factor = clipped && factor < 0 ? 0.0 : factor;
    contrast[x] = factor;
    similarity[x] = factor * (2 * product + c1) / (squares + c1);
  }
}

LPNSR_VECTORISED void add_weighted_row(const double* from, double factor, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace

SsimMeans ssim_means(const Plane& a, const Plane& b, const SsimMapOptions& options) {
  const int64_t height = a.height - ssim_window + 1 - options.left_out_at_end, width = a.width - ssim_window + 1 - options.left_out_at_end;
  const auto line = options.clipped ? rounded_gaussian_line(ssim_window, ssim_sigma) : gaussian_line(ssim_window, ssim_sigma);
  std::vector<double> ssim_sums(static_cast<size_t>(height)), contrast_sums(static_cast<size_t>(height));
  for_rows(height, [&](int64_t begin, int64_t end) {
    // The last eleven filtered rows: row y lies in place y mod 11.
    std::vector<MomentRows> ring(ssim_window, MomentRows(width));
    MomentRows means(width);
    std::vector<double> similarity(static_cast<size_t>(width)), contrast(static_cast<size_t>(width));
    for (int64_t y = begin; y < end + ssim_window - 1; ++y) {
      moments_of_row(a.row(y), b.row(y), line.data(), width, ring[static_cast<size_t>(y % ssim_window)]);
      const int64_t top = y - ssim_window + 1;
      if (top < begin) continue;
      std::array<const double*, moments> filtered_rows{};
      for (size_t m = 0; m < moments; ++m) {
        std::fill(means.rows[m].begin(), means.rows[m].end(), 0.0);
        for (int64_t k = 0; k < ssim_window; ++k) {
          const auto& from = ring[static_cast<size_t>((top + k) % ssim_window)].rows[m];
          add_weighted_row(from.data(), line[static_cast<size_t>(k)], means.rows[m].data(), width);
        }
        filtered_rows[m] = means.rows[m].data();
      }
      similarity_of_row(filtered_rows, width, options.clipped, similarity.data(), contrast.data());
      ssim_sums[static_cast<size_t>(top)] = sum_of(similarity);
      contrast_sums[static_cast<size_t>(top)] = sum_of(contrast);
    }
  });
  const auto count = static_cast<double>(height * width);
  return {sum_of(ssim_sums) / count, sum_of(contrast_sums) / count};
}

}  // namespace lpnsr
