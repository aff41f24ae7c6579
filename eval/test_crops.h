#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// Where in [3,H,W] the size x size square with the largest mean gradient of its luma lies, on a grid of size/4: where an evaluation sees
// most. The picture must be as large.
struct SquarePlace {
  int64_t top = 0, left = 0;
};
SquarePlace busiest_square(const at::Tensor& rgb, int64_t size);
// That square. Pictures that are smaller are returned as they are.
at::Tensor busiest_crop(const at::Tensor& rgb, int64_t size);

// Area-averaged to half its size, which also removes most JPEG artefacts and sensor blur of large photographs.
at::Tensor halved(const at::Tensor& rgb);

}  // namespace lpnsr
