#include "diffusion/color_rows.h"

#include "core/resize.h"
#include "diffusion/image_ops.h"

namespace lpnsr {
namespace {

constexpr int64_t kReach = 1 + 2 + 4 + 8 + 16;  // of the five blurs of the wavelet fix
constexpr int64_t kRowsAtOnce = 128;

}  // namespace

ColorRows::ColorRows(bool wavelet, at::Tensor lr, int64_t scale, Take take)
    : wavelet_(wavelet), lr_(std::move(lr)), scale_(scale), height_(lr_.size(-2) * scale), take_(std::move(take)) {}

void ColorRows::give(int64_t count) {
  if (!wavelet_) {
    take_(held_.slice(-2, given_ - first_, given_ - first_ + count).clamp(0, 1));
    given_ += count;
    return;
  }
  const int64_t begin = std::max<int64_t>(0, given_ - kReach), end = std::min(height_, given_ + count + kReach);
  const auto fixed = wavelet_color_fix(held_.slice(-2, begin - first_, end - first_), resize_bicubic_scale_rows(lr_, scale_, begin, end));
  take_(fixed.slice(-2, given_ - begin, given_ - begin + count).clamp(0, 1));
  given_ += count;
}

void ColorRows::add(const at::Tensor& rows) {
  held_ = held_.defined() ? torch::cat({held_, rows}, -2) : rows;
  received_ += rows.size(-2);
  const int64_t ready = received_ == height_ ? height_ : received_ - kReach;
  while (given_ < ready) give(std::min(kRowsAtOnce, ready - given_));
  const int64_t needed = std::max<int64_t>(first_, given_ - kReach);
  held_ = held_.slice(-2, needed - first_).clone();
  first_ = needed;
}

}  // namespace lpnsr
