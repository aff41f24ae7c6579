#include "diffusion/color_rows.h"

#include "core/resize.h"

namespace lpnsr {
namespace {

constexpr int64_t kRowsAtOnce = 128;

}  // namespace

RowFix wavelet_row_fix(const at::Tensor& lr, int64_t scale) {
  constexpr int64_t kReach = 1 + 2 + 4 + 8 + 16;  // of the five blurs
  return {.reach = kReach, .apply = [lr, scale](const at::Tensor& rows, int64_t begin, int64_t end) {
            return wavelet_color_fix(rows, resize_bicubic_scale_rows(lr, scale, begin, end));
          }};
}

RowFix adain_row_fix(const ChannelMoments& restored, const at::Tensor& lr, int64_t scale) {
  MomentSums sums;
  const int64_t height = lr.size(-2) * scale;
  for (int64_t begin = 0; begin < height; begin += kRowsAtOnce) {
    sums.add(resize_bicubic_scale_rows(lr, scale, begin, std::min(height, begin + kRowsAtOnce)));
  }
  return {.apply = [restored, style = sums.moments()](const at::Tensor& rows, int64_t, int64_t) {
    return adain_color_fix(rows, restored, style);
  }};
}

ColorRows::ColorRows(RowFix fix, int64_t height, Take take) : fix_(std::move(fix)), height_(height), take_(std::move(take)) {}

void ColorRows::give(int64_t count) {
  const int64_t begin = std::max<int64_t>(0, given_ - fix_.reach), end = std::min(height_, given_ + count + fix_.reach);
  const auto rows = held_.slice(-2, begin - first_, end - first_);
  const auto fixed = fix_.apply ? fix_.apply(rows, begin, end) : rows;
  take_(fixed.slice(-2, given_ - begin, given_ - begin + count).clamp(0, 1));
  given_ += count;
}

void ColorRows::add(const at::Tensor& rows) {
  held_ = held_.defined() ? torch::cat({held_, rows}, -2) : rows;
  received_ += rows.size(-2);
  const int64_t ready = received_ == height_ ? height_ : received_ - fix_.reach;
  while (given_ < ready) give(std::min(kRowsAtOnce, ready - given_));
  const int64_t needed = std::max<int64_t>(first_, given_ - fix_.reach);
  held_ = held_.slice(-2, needed - first_).clone();
  first_ = needed;
}

}  // namespace lpnsr
