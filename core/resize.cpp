#include "core/resize.h"

#include <cmath>

#include <ATen/Functions.h>

namespace lpnsr {
namespace {

// Runs `operation` on [N,C,H,W] whatever the number of dimensions.
template <class Operation>
at::Tensor batched(const at::Tensor& image, const Operation& operation) {
  TORCH_CHECK(image.dim() == 3 || image.dim() == 4, "resize: [C,H,W] or [N,C,H,W] was expected, not ", image.sizes());
  return image.dim() == 4 ? operation(image) : operation(image.unsqueeze(0)).squeeze(0);
}

// ... c b a | a b c | c b a ...
int64_t mirrored(int64_t index, int64_t size) {
  const int64_t period = 2 * size;
  index = (index % period + period) % period;
  return index < size ? index : period - 1 - index;
}

// imresize along one axis as a matrix [out,in].
at::Tensor matlab_matrix(int64_t in, double scale, bool antialias) {
  const auto out = static_cast<int64_t>(std::ceil(static_cast<double>(in) * scale));
  const double stretch = antialias ? std::min(scale, 1.0) : 1.0;
  const double width = 4.0 / stretch;
  const auto taps = static_cast<int64_t>(std::ceil(width)) + 2;
  at::Tensor matrix = at::zeros({out, in}, at::kDouble);
  auto weight = matrix.accessor<double, 2>();
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) / scale - 0.5;
    const auto first = static_cast<int64_t>(std::floor(centre - width / 2.0));
    double sum = 0.0;
    for (int64_t j = first; j < first + taps; ++j) sum += keys_cubic(stretch * (centre - static_cast<double>(j)));
    for (int64_t j = first; j < first + taps; ++j)
      weight[i][mirrored(j, in)] += keys_cubic(stretch * (centre - static_cast<double>(j))) / sum;
  }
  return matrix;
}

}  // namespace

double keys_cubic(double x) {
  x = std::abs(x);
  if (x <= 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
  return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

at::Tensor resize_bicubic(const at::Tensor& image, int64_t height, int64_t width, bool antialias) {
  return batched(image, [&](const at::Tensor& batch) {
    return antialias ? at::_upsample_bicubic2d_aa(batch, {height, width}, false) : at::upsample_bicubic2d(batch, {height, width}, false);
  });
}

at::Tensor resize_bicubic_scale(const at::Tensor& image, int64_t scale) {
  return resize_bicubic(image, image.size(-2) * scale, image.size(-1) * scale);
}

at::Tensor resize_bicubic_scale_rows(const at::Tensor& image, int64_t scale, int64_t begin, int64_t end) {
  constexpr int64_t kTaps = 3;  // rows that the kernel sees beyond its own
  const int64_t top = std::max<int64_t>(0, begin / scale - kTaps), bottom = std::min(image.size(-2), (end + scale - 1) / scale + kTaps);
  return resize_bicubic_scale(image.slice(-2, top, bottom), scale).slice(-2, begin - top * scale, end - top * scale);
}

at::Tensor resize_matlab(const at::Tensor& image, double scale, bool antialias) {
  TORCH_CHECK(scale > 0.0, "resize_matlab: the scale must be positive");
  const auto rows = matlab_matrix(image.size(-2), scale, antialias).to(image.options());
  const auto columns = matlab_matrix(image.size(-1), scale, antialias).to(image.options());
  return batched(image, [&](const at::Tensor& batch) { return at::matmul(at::matmul(rows, batch), columns.t()); });
}

at::Tensor resize_area(const at::Tensor& image, int64_t height, int64_t width) {
  return batched(image, [&](const at::Tensor& batch) { return at::adaptive_avg_pool2d(batch, {height, width}); });
}

}  // namespace lpnsr
