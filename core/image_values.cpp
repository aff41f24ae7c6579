#include <ATen/Functions.h>
#include <ATen/TensorIndexing.h>

#include "core/image.h"

namespace lpnsr {

at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns, int64_t gap) {
  TORCH_CHECK(!images.empty() && columns > 0 && gap >= 0, "image_grid: at least one picture and one column");
  const int64_t height = images[0].size(1), width = images[0].size(2), count = static_cast<int64_t>(images.size());
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  at::Tensor grid = at::ones({3, rows * (height + gap) - gap, columns * (width + gap) - gap}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = i / columns * (height + gap), left = i % columns * (width + gap);
    grid.narrow(1, top, height).narrow(2, left, width).copy_(images[static_cast<size_t>(i)].detach());
  }
  return grid;
}

at::Tensor to_uint8(const at::Tensor& image, Rounding rounding) {
  const at::Tensor scaled = image.detach().nan_to_num(0.0, 1.0, 0.0) * 255.0;
  return (rounding == Rounding::nearest ? scaled.round() : scaled.floor()).clamp(0, 255).to(at::kByte);
}

at::Tensor luma_bt601(const at::Tensor& rgb) {
  TORCH_CHECK(rgb.dim() >= 3 && rgb.size(-3) == 3, "luma_bt601: [..,3,H,W] was expected, not ", rgb.sizes());
  const auto channel = [&rgb](int64_t c) { return rgb.narrow(-3, c, 1); };
  return (65.481 * channel(0) + 128.553 * channel(1) + 24.966 * channel(2) + 16.0) / 255.0;
}

}  // namespace lpnsr
