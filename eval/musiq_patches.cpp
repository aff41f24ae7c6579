#include <cmath>

#include <ATen/Functions.h>

#include "eval/musiq.h"

namespace lpnsr {
namespace {

constexpr int64_t patch_side = 32, grid_side = 10;

// Python's round: half to even.
int64_t rounded(double value) { return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(value))); }

at::Tensor with_longer_side(const at::Tensor& image, int64_t side) {
  const auto height = static_cast<double>(image.size(2)), width = static_cast<double>(image.size(3));
  const double ratio = static_cast<double>(side) / std::max(height, width);
  return at::upsample_bicubic2d(image, {rounded(height * ratio), rounded(width * ratio)}, false);
}

// Places of `count` patches on the grid, as nearest interpolation in float32 gives them.
at::Tensor grid_places(int64_t count) {
  const float step = static_cast<float>(grid_side) / static_cast<float>(count);
  auto places = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i)
    places.data_ptr<int64_t>()[i] = std::min(static_cast<int64_t>(std::floor(static_cast<float>(i) * step)), grid_side - 1);
  return places;
}

}  // namespace

MusiqPatches musiq_patches(const at::Tensor& image) {
  const auto signed_values = (image.to(at::kFloat) - 0.5) * 2;
  std::vector<at::Tensor> pixels, positions, scales, valid;
  for (int64_t scale = 0; scale < 3; ++scale) {
    const int64_t longer = scale == 0 ? 224 : 384;
    const auto resized = scale == 2 ? signed_values : with_longer_side(signed_values, longer);
    const int64_t down = (resized.size(2) + patch_side - 1) / patch_side, across = (resized.size(3) + patch_side - 1) / patch_side;
    const int64_t extra_y = down * patch_side - resized.size(2), extra_x = across * patch_side - resized.size(3);
    const auto padded = at::constant_pad_nd(resized, {extra_x / 2, extra_x - extra_x / 2, extra_y / 2, extra_y - extra_y / 2});
    auto patches = padded.view({padded.size(0), 3, down, patch_side, across, patch_side}).permute({0, 2, 4, 1, 3, 5}).flatten(1, 2);
    auto position = (grid_places(down).unsqueeze(1) * grid_side + grid_places(across)).flatten();
    int64_t count = down * across;
    auto present = at::ones({count}, at::kBool), scale_row = at::full({count}, scale, at::kLong);
    if (scale < 2) {
      const int64_t side = (longer + patch_side - 1) / patch_side, missing = side * side - count;
      patches = at::constant_pad_nd(patches, {0, 0, 0, 0, 0, 0, 0, missing});
      position = at::constant_pad_nd(position, {0, missing});
      scale_row = at::constant_pad_nd(scale_row, {0, missing});
      present = at::cat({present, at::zeros({missing}, at::kBool)});
    }
    pixels.push_back(patches);
    positions.push_back(position);
    scales.push_back(scale_row);
    valid.push_back(present);
  }
  return {at::cat(pixels, 1), at::cat(positions), at::cat(scales), at::cat(valid)};
}

}  // namespace lpnsr
