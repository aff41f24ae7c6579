#include "eval/nrqm.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {
namespace {

// The 11x11 windows that compare bands of the first level lie inside a guard band of 17 pixels.
constexpr int64_t nrqm_smallest = 45;
constexpr int64_t singular_block = 5;

// 3x3 Gaussian of sigma 0.5 whose entries are rounded to float32, zeros around, then every second pixel from the second on.
Plane smoothed_half(const Plane& plane) {
  const auto line = gaussian_line(3, 0.5);
  std::array<double, 9> window{};
  for (size_t i = 0; i < 9; ++i) window[i] = static_cast<double>(static_cast<float>(line[i / 3] * line[i % 3]));
  Plane half(plane.height / 2, plane.width / 2);
  for (int64_t y = 0; y < half.height; ++y) {
    for (int64_t x = 0; x < half.width; ++x) {
      double sum = 0;
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t row = 2 * y + k / 3, column = 2 * x + k % 3;
        if (row < plane.height && column < plane.width) sum += window[static_cast<size_t>(k)] * plane.row(row)[column];
      }
      half.row(y)[x] = sum;
    }
  }
  return half;
}

void add_singular_values(const Plane& plane, std::vector<double>& to) {
  constexpr int64_t size = singular_block, length = size * size;
  const int64_t down = (plane.height + size - 1) / size, across = (plane.width + size - 1) / size;
  // The 25x25 matrix of inner products has the squares of the singular values; summed by rows of blocks, whatever the threads.
  std::vector<std::array<double, length * length>> products(static_cast<size_t>(down));
  for_rows(down, [&](int64_t begin, int64_t end) {
    std::array<double, length> block{};
    for (int64_t by = begin; by < end; ++by) {
      auto& sum = products[static_cast<size_t>(by)];
      sum.fill(0.0);
      for (int64_t bx = 0; bx < across; ++bx) {
        for (int64_t i = 0; i < length; ++i) {
          const int64_t y = by * size + i / size, x = bx * size + i % size;
          block[static_cast<size_t>(i)] = y < plane.height && x < plane.width ? plane.row(y)[x] : 0.0;
        }
        for (size_t i = 0; i < length; ++i) {
          for (size_t j = 0; j < length; ++j) sum[i * length + j] += block[i] * block[j];
        }
      }
    }
  });
  auto gram = at::zeros({length, length}, at::kDouble);
  double* total = gram.data_ptr<double>();
  for (const auto& part : products) {
    for (size_t i = 0; i < part.size(); ++i) total[i] += part[i];
  }
  const auto squares = at::linalg_eigvalsh(gram).clamp_min(0).sqrt().flip(0);
  const auto count = std::min(length, down * across);
  for (int64_t i = 0; i < count; ++i) to.push_back(squares[i].item<double>());
  for (int64_t i = count; i < length; ++i) to.push_back(0.0);
}

}  // namespace

void NrqmOptions::fields(FieldVisitor& v) {
  v.choice("luma", luma, {"yiq", "bt601"}, "the luma that is scored");
  v.integer("crop", crop, {0}, "pixels taken off each side first");
}

std::string describe(const NrqmOptions& options) { return fmt::format("luma {}, crop {}", options.luma, options.crop); }

std::vector<Plane> nrqm_pyramid(const Plane& luma) {
  std::vector<Plane> pyramid = {luma};
  for (double& value : pyramid[0].values) value /= 255.0;
  for (int i = 0; i < 2; ++i) pyramid.push_back(smoothed_half(pyramid.back()));
  return pyramid;
}

std::vector<double> nrqm_singular_values(const Plane& luma) {
  std::vector<double> values;
  for (const auto& level : nrqm_pyramid(luma)) add_singular_values(level, values);
  return values;
}

double nrqm_score(const NrqmModel& model, const std::array<std::vector<double>, 3>& features) {
  double score = model.linear[0];
  for (size_t i = 0; i < 3; ++i) score += model.linear[i + 1] * model.forests[i].predict(features[i]);
  return score;
}

double nrqm(const at::Tensor& image, const NrqmModel& model, const NrqmOptions& options) {
  const auto kind = options.luma == "yiq" ? LumaKind::yiq : LumaKind::bt601;
  const auto luma = rounded_luma(image, kind, options.crop, nrqm_smallest, "NRQM");
  return nrqm_score(model, {nrqm_frequency_features(luma), nrqm_spatial_features(luma), nrqm_singular_values(luma)});
}

double perceptual_index(const at::Tensor& image, const NrqmModel& model, const NiqePristine& pristine) {
  return (10 - nrqm(image, model, {.luma = "bt601", .crop = 4}) + niqe(image, pristine, niqe_in_pi())) / 2;
}

}  // namespace lpnsr
