#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// The size x size square of [3,H,W] with the largest mean gradient of its luma, on a grid of size/4: where an evaluation sees most.
// Pictures that are smaller are returned as they are.
at::Tensor busiest_crop(const at::Tensor& rgb, int64_t size);

// Area-averaged to half its size, which also removes most JPEG artefacts and sensor blur of large photographs.
at::Tensor halved(const at::Tensor& rgb);

}  // namespace lpnsr
