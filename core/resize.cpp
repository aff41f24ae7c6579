#include "core/resize.h"

#include <cmath>

#include <ATen/Functions.h>

#include "core/cubic_taps.h"

namespace lpnsr {
namespace {

// Runs `operation` on [N,C,H,W] whatever the number of dimensions.
template <class Operation>
at::Tensor batched(const at::Tensor& image, const Operation& operation) {
  TORCH_CHECK(image.dim() == 3 || image.dim() == 4, "resize: [C,H,W] or [N,C,H,W] was expected, not ", image.sizes());
  return image.dim() == 4 ? operation(image) : operation(image.unsqueeze(0)).squeeze(0);
}

// imresize along one axis as a matrix [out,in].
at::Tensor matlab_matrix(int64_t in, double scale, bool antialias) {
  const auto out = static_cast<int64_t>(std::ceil(static_cast<double>(in) * scale));
  const auto taps = cubic_taps(in, out, scale, antialias);
  at::Tensor matrix = at::zeros({out, in}, at::kDouble);
  auto weight = matrix.accessor<double, 2>();
  for (int64_t i = 0; i < out; ++i) {
    for (int64_t k = i * taps.count; k < (i + 1) * taps.count; ++k)
      weight[i][taps.indices[static_cast<size_t>(k)]] += taps.weights[static_cast<size_t>(k)];
  }
  return matrix;
}

}  // namespace

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
