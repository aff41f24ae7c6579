#include "core/row_resizer.h"

#include <algorithm>
#include <cmath>

#include <ATen/Functions.h>

#include "core/cubic_taps.h"
#include "core/resize.h"

namespace lpnsr {

RowResizer::RowResizer(int64_t height, int64_t out_height, int64_t out_width, Take take)
    : height_(height),
      out_height_(out_height),
      out_width_(out_width),
      step_(static_cast<double>(height) / static_cast<double>(out_height)),
      take_(std::move(take)) {}

RowResizer::Taps RowResizer::taps(int64_t out_row) const {
  const double centre = step_ * (static_cast<double>(out_row) + 0.5), support = 2.0 * std::max(1.0, step_);
  return {std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5)),
          std::min(height_, static_cast<int64_t>(centre + support + 0.5))};
}

at::Tensor RowResizer::weights(int64_t begin, int64_t end, int64_t held) const {
  at::Tensor matrix = at::zeros({end - begin, held}, at::kDouble);
  auto weight = matrix.accessor<double, 2>();
  for (int64_t row = begin; row < end; ++row) {
    const double centre = step_ * (static_cast<double>(row) + 0.5);
    const auto [from, to] = taps(row);
    double sum = 0.0;
    for (int64_t j = from; j < to; ++j) {
      sum += weight[row - begin][j - first_] = keys_cubic((static_cast<double>(j) - centre + 0.5) / std::max(1.0, step_));
    }
    for (int64_t j = from; j < to; ++j) weight[row - begin][j - first_] /= sum;
  }
  return matrix.to(at::kFloat);
}

void RowResizer::add(const at::Tensor& rows) {
  const auto narrow = resize_bicubic(rows.to(at::kCPU, at::kFloat).contiguous(), rows.size(1), out_width_, /*antialias=*/true);
  held_ = held_.defined() ? at::cat({held_, narrow}, 1) : narrow;
  received_ += rows.size(1);
  int64_t ready = given_;
  while (ready < out_height_ && taps(ready).end <= received_) ++ready;
  if (ready == given_) return;
  take_(at::matmul(weights(given_, ready, held_.size(1)), held_));
  given_ = ready;
  const int64_t needed = given_ < out_height_ ? taps(given_).begin : received_;
  held_ = held_.narrow(1, needed - first_, received_ - needed).clone();
  first_ = needed;
}

}  // namespace lpnsr
