#pragma once
// Bicubic resizing in the flavours of the references (goldens/diffusion, ops_resize). All take [N,C,H,W] or [C,H,W] and never clamp.
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// PyTorch's interpolate(mode="bicubic", align_corners=False): a = -0.75, half-pixel centres. cv2.resize(INTER_CUBIC) on floats is the same
// to 2e-7.
at::Tensor resize_bicubic(const at::Tensor& image, int64_t height, int64_t width, bool antialias = false);
at::Tensor resize_bicubic_scale(const at::Tensor& image, int64_t scale);

// Rows `begin` to `end` of resize_bicubic_scale's result.
at::Tensor resize_bicubic_scale_rows(const at::Tensor& image, int64_t scale, int64_t begin, int64_t end);

// MATLAB's imresize (BasicSR's): a = -0.5, antialiased when it shrinks, borders mirrored with the edge repeated.
at::Tensor resize_matlab(const at::Tensor& image, double scale, bool antialias = true);

// Mean over blocks, cv2.INTER_AREA for integer factors and adaptive average pooling otherwise.
at::Tensor resize_area(const at::Tensor& image, int64_t height, int64_t width);

}  // namespace lpnsr
