#include "eval/niqe.h"

#include <array>
#include <cmath>

#include <ATen/Functions.h>
#include <ATen/ops/linalg_pinv.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/vectorised.h"
#include "eval/generalised_gaussian.h"

namespace lpnsr {
namespace {

constexpr int64_t niqe_block = 96;
constexpr int64_t features_of_scale = 18;

// Sums over the values below and above zero, in eight lanes so that the order of additions is the same with and without vectors.
struct SignedSums {
  static constexpr int64_t lanes = 8;
  std::array<double, lanes> below{}, above{}, below_count{}, above_count{}, magnitude{};
  double count = 0;
};

double total(const std::array<double, SignedSums::lanes>& lanes) {
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

LPNSR_INLINE void add_value(double value, int64_t lane, SignedSums& sums) {
  const double low = value < 0 ? value : 0.0, high = value > 0 ? value : 0.0;
  sums.below[static_cast<size_t>(lane)] += low * low;
  sums.above[static_cast<size_t>(lane)] += high * high;
  sums.below_count[static_cast<size_t>(lane)] += value < 0 ? 1.0 : 0.0;
  sums.above_count[static_cast<size_t>(lane)] += value > 0 ? 1.0 : 0.0;
  sums.magnitude[static_cast<size_t>(lane)] += std::abs(value);
}

LPNSR_VECTORISED void add_values(const double* values, int64_t count, SignedSums& sums) {
  int64_t i = 0;
  for (; i + SignedSums::lanes <= count; i += SignedSums::lanes) {
    for (int64_t lane = 0; lane < SignedSums::lanes; ++lane) add_value(values[i + lane], lane, sums);
  }
  for (; i < count; ++i) add_value(values[i], 0, sums);
}

LPNSR_VECTORISED void multiply_rows(const double* a, const double* b, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = a[i] * b[i];
}

struct AsymmetricFit {
  double shape = 0, mean = 0, left = 0, right = 0;
};

// Lasmar et al. 2009. A side without values gives NaN, as the published programs do.
AsymmetricFit fit(const SignedSums& sums) {
  static const ShapeGrid grid(0.2, false);
  const double below = total(sums.below), above = total(sums.above);
  const double left = std::sqrt(below / total(sums.below_count)), right = std::sqrt(above / total(sums.above_count));
  const double g = left / right, magnitude = total(sums.magnitude) / sums.count;
  const double r = magnitude * magnitude / ((below + above) / sums.count);
  const size_t index = grid.nearest(r * (g * g * g + 1) * (g + 1) / ((g * g + 1) * (g * g + 1)));
  AsymmetricFit fit{grid.shape(index), 0, left * grid.spread(index), right * grid.spread(index)};
  fit.mean = (fit.right - fit.left) * grid.mean(index);
  return fit;
}

// The values of a block, or with a shift their products with those one step up and `shift` steps left, around the block's borders.
AsymmetricFit fit_block(const Plane& mscn, int64_t top, int64_t left, int64_t size, int64_t down, int64_t across) {
  SignedSums sums;
  sums.count = static_cast<double>(size * size);
  std::vector<double> products(static_cast<size_t>(size)), turned(static_cast<size_t>(size));
  for (int64_t y = 0; y < size; ++y) {
    const double* row = mscn.row(top + y) + left;
    if (down == 0 && across == 0) {
      add_values(row, size, sums);
      continue;
    }
    const double* other = mscn.row(top + (y - down + size) % size) + left;
    std::rotate_copy(other, other + (size - across) % size, other + size, turned.begin());
    multiply_rows(row, turned.data(), products.data(), size);
    add_values(products.data(), size, sums);
  }
  return fit(sums);
}

void block_features(const Plane& mscn, int64_t top, int64_t left, int64_t size, double* to) {
  static constexpr std::array<std::array<int64_t, 2>, 4> shifts = {{{0, 1}, {1, 0}, {1, 1}, {1, -1}}};
  const auto own = fit_block(mscn, top, left, size, 0, 0);
  *to++ = own.shape;
  *to++ = (own.left + own.right) / 2;
  for (const auto& [down, across] : shifts) {
    const auto pair = fit_block(mscn, top, left, size, down, across);
    for (const double value : {pair.shape, pair.mean, pair.left, pair.right}) *to++ = value;
  }
}

LPNSR_VECTORISED void normalise_row(const double* x, const double* mean, const double* square, double* to, int64_t count) {
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  for (int64_t i = 0; i < count; ++i) to[i] = (x[i] - mean[i]) / (std::sqrt(std::abs(square[i] - mean[i] * mean[i]) + epsilon) + 1);
}

// BasicSR keeps its maps in float32: a variance is then the difference of two rounded numbers, and the mean of a flat area is exact.
void normalise_row_in_float(const double* x, const double* mean, const double* square, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto m = static_cast<float>(mean[i]), s = static_cast<float>(square[i]);
    const float squared_mean = m * m;
    const float deviation = std::sqrt(std::abs(s - squared_mean));
    to[i] = (static_cast<float>(x[i]) - m) / (deviation + 1.0F);
  }
}

LumaKind luma_kind(const NiqeOptions& options) {
  if (options.luma == "default") return options.flavour == "pyiqa" ? LumaKind::yiq : LumaKind::bt601;
  return options.luma == "yiq" ? LumaKind::yiq : LumaKind::bt601;
}

}  // namespace

void NiqeOptions::fields(FieldVisitor& v) {
  v.choice("flavour", flavour, {"pyiqa", "basicsr"}, "the published implementation to follow");
  v.choice("luma", luma, {"default", "yiq", "bt601"}, "default: pyiqa's yiq, BasicSR's bt601");
  v.integer("crop", crop, {0}, "pixels taken off each side first");
}

NiqeOptions niqe_in_pi() { return {.flavour = "pyiqa", .luma = "bt601", .crop = 4}; }

std::string describe(const NiqeOptions& options) {
  return fmt::format("{}, luma {}, crop {}", options.flavour, luma_kind(options) == LumaKind::yiq ? "yiq" : "bt601", options.crop);
}

Plane normalised_luminance(const Plane& luma, const NiqeOptions& options) {
  const bool basicsr = options.flavour == "basicsr";
  const auto line = basicsr ? gaussian_line(7, 7.0 / 6.0) : rounded_gaussian_line(7, 7.0 / 6.0);
  Plane squares(luma.height, luma.width);
  for (size_t i = 0; i < squares.values.size(); ++i) squares.values[i] = luma.values[i] * luma.values[i];
  const Plane mean = filtered(luma, line), square = filtered(squares, line);
  Plane result(luma.height, luma.width);
  for_rows(luma.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      (basicsr ? normalise_row_in_float : normalise_row)(luma.row(y), mean.row(y), square.row(y), result.row(y), luma.width);
    }
  });
  return result;
}

at::Tensor niqe_features(const Plane& luma, const NiqeOptions& options) {
  const int64_t down = luma.height / niqe_block, across = luma.width / niqe_block, count = down * across;
  const Plane whole = part_of(luma, 0, 0, down * niqe_block, across * niqe_block);
  auto features = at::empty({count, 2 * features_of_scale}, at::kDouble);
  double* rows = features.data_ptr<double>();
  for (const int64_t scale : {1, 2}) {
    const Plane plane = scale == 1 ? whole : resized(whole, whole.height / 2, whole.width / 2, 0.5, 0.5);
    const Plane mscn = normalised_luminance(plane, options);
    const int64_t size = niqe_block / scale;
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        block_features(mscn, b % down * size, b / down * size, size, rows + (2 * b + scale - 1) * features_of_scale);
      }
    });
  }
  return features;
}

double niqe_distance(const at::Tensor& features, const NiqePristine& pristine) {
  const auto mean = at::nanmean(features, at::IntArrayRef{0});
  const auto complete = features.index_select(0, at::nonzero(features.isnan().any(1).logical_not()).flatten());
  auto covariance = at::zeros_like(pristine.covariance);
  if (complete.size(0) > 1) {
    const auto centred = complete - complete.mean(0, true);
    covariance = centred.t().mm(centred) / (complete.size(0) - 1);
  }
  const auto difference = (pristine.mean - mean).unsqueeze(0);
  if (difference.isnan().any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  const auto inverse = at::linalg_pinv((pristine.covariance + covariance) / 2);
  return std::sqrt(difference.mm(inverse).mm(difference.t()).item<double>());
}

double niqe(const at::Tensor& image, const NiqePristine& pristine, const NiqeOptions& options) {
  const auto luma = rounded_luma(image, luma_kind(options), options.crop, niqe_block, "NIQE");
  if (options.flavour == "basicsr" && luma.height < 2 * niqe_block && luma.width < 2 * niqe_block)
    throw UsageError(fmt::format("BasicSR's NIQE needs two blocks of 96x96 pixels; the picture is {}x{}", image.size(2), image.size(1)));
  return niqe_distance(niqe_features(luma, options), pristine);
}

}  // namespace lpnsr
