#include "eval/test_crops.h"

#include "core/image.h"
#include "core/resize.h"

namespace lpnsr {

at::Tensor halved(const at::Tensor& rgb) {
  const int64_t height = rgb.size(1) / 2 * 2, width = rgb.size(2) / 2 * 2;
  return resize_area(rgb.narrow(1, 0, height).narrow(2, 0, width), height / 2, width / 2);
}

SquarePlace busiest_square(const at::Tensor& rgb, int64_t size) {
  if (size < 2) return {0, 0};  // no two pixels that could differ
  const at::Tensor luma = luma_bt601(rgb)[0];
  const at::Tensor across = luma.slice(1, 1).sub(luma.slice(1, 0, -1)).abs().slice(0, 0, -1);
  const at::Tensor down = luma.slice(0, 1).sub(luma.slice(0, 0, -1)).abs().slice(1, 0, -1);
  const int64_t step = std::max<int64_t>(1, size / 4);
  const at::Tensor means = at::avg_pool2d((across + down).unsqueeze(0), {size - 1, size - 1}, {step, step})[0];
  const int64_t best = means.flatten().argmax().item<int64_t>();
  return {best / means.size(1) * step, best % means.size(1) * step};
}

at::Tensor busiest_crop(const at::Tensor& rgb, int64_t size) {
  if (rgb.size(1) < size || rgb.size(2) < size) return rgb;
  const auto [top, left] = busiest_square(rgb, size);
  return rgb.narrow(1, top, size).narrow(2, left, size).contiguous();
}

}  // namespace lpnsr
