#pragma once
// Maps cut into overlapping patches whose results are blended: as published (goldens/diffusion ops_chop), and with windows that hide what
// a network makes of a patch's border.
#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

std::vector<int64_t> patch_starts(int64_t length, int64_t patch,
                                  int64_t stride);  // 0, stride, …, the last moved back to fit, no duplicates
std::vector<double> gaussian_window(int64_t size);  // goldens/diffusion, 17
// For patches that overlap by `overlap`: nearly 0 in the outer quarter of it, where a network sees beyond its patch, then a smooth rise to
// 1 within its middle half; the windows of two neighbours add up to 1.
std::vector<double> ramp_window(int64_t size, int64_t overlap);

struct Patch {
  int64_t top = 0, left = 0, height = 0, width = 0;
  // Its part of [..,H,W], or of a map that is `scale` times as large: a view.
  at::Tensor of(const at::Tensor& map, int64_t scale = 1) const;
};

// The parts of `patches` one after another [patches * N,C,h,w]; undefined where the map is.
at::Tensor gather(const at::Tensor& map, const std::vector<Patch>& patches, int64_t scale = 1);

// How a map of height x width is cut: patches of at most `side`, one every `stride`.
struct PatchGrid {
  int64_t height = 0, width = 0, side = 0, stride = 0;
  int64_t scale = 1;                                                          // of the results relative to the map
  int64_t batch = 1;                                                          // patches of one row that are worked on at a time
  std::function<std::vector<double>(int64_t size)> window = gaussian_window;  // along one side of a result
};
// Patches that overlap by a quarter, small ones by 32 pixels or half, and are blended without seams.
PatchGrid seamless_grid(int64_t height, int64_t width, int64_t side, int64_t scale);

// The results of `patches`, one after another: [patches * N, C, scale * height, scale * width].
using PatchWork = std::function<at::Tensor(const std::vector<Patch>& patches)>;

// Calls `work` on the patches row by row and `take` on the blended result, float64 [N,C,rows,scale * width], from top to bottom as soon as
// its rows are complete: no more than one row of patches is held.
void blend_rows(const PatchGrid& grid, const PatchWork& work, const std::function<void(const at::Tensor& rows)>& take);
// The same as a whole, in `type`.
at::Tensor blend_patches(const PatchGrid& grid, const PatchWork& work, c10::ScalarType type = c10::ScalarType::Double);
// Patches of `image` [N,C,H,W] as published, one at a time: float64 [N,C',sH,sW].
at::Tensor blend_patches(const at::Tensor& image, int64_t patch, int64_t stride, int64_t scale,
                         const std::function<at::Tensor(const at::Tensor&)>& work);

}  // namespace lpnsr
