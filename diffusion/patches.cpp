#include "diffusion/patches.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {

std::vector<int64_t> patch_starts(int64_t length, int64_t patch, int64_t stride) {
  if (patch < 1 || stride < 1)
    throw UsageError(fmt::format("patches of {} pixels every {} pixels: both must be at least 1", patch, stride));
  const int64_t last = std::max<int64_t>(0, length - patch);
  std::vector<int64_t> starts;
  for (int64_t start = 0; start < last; start += stride) starts.push_back(start);
  starts.push_back(last);
  return starts;
}

std::vector<double> gaussian_window(int64_t size) {
  // OpenCV's deviation for a kernel of `size`; an even one is cut from the kernel with one tap more, so its peak lies right of the middle.
  const double sigma = 0.3 * ((static_cast<double>(size) - 1.0) * 0.5 - 1.0) + 0.8;
  const int64_t taps = size % 2 == 0 ? size + 1 : size;
  const double centre = static_cast<double>(taps - 1) / 2.0;
  std::vector<double> window(static_cast<size_t>(taps));
  double sum = 0.0;
  for (size_t i = 0; i < window.size(); ++i) {
    const double distance = static_cast<double>(i) - centre;
    sum += window[i] = std::exp(-distance * distance / (2.0 * sigma * sigma));
  }
  for (double& weight : window) weight /= sum;
  window.erase(window.begin(), window.begin() + (taps - size));
  return window;
}

std::vector<double> ramp_window(int64_t size, int64_t overlap) {
  constexpr double kLeast = 1e-9;  // where the map itself ends, this is all the weight there is
  const double hidden = static_cast<double>(overlap) / 4.0, rise = std::max(1.0, static_cast<double>(overlap) / 2.0);
  std::vector<double> window(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    const double from_edge = static_cast<double>(std::min(i, size - 1 - i)) + 0.5;
    const double share = std::clamp((from_edge - hidden) / rise, 0.0, 1.0);
    window[static_cast<size_t>(i)] = kLeast + (1.0 - std::cos(std::numbers::pi * share)) / 2.0;
  }
  return window;
}

at::Tensor Patch::of(const at::Tensor& map, int64_t scale) const {
  if (map.size(-2) == height * scale && map.size(-1) == width * scale) return map;
  return map.slice(-2, top * scale, (top + height) * scale).slice(-1, left * scale, (left + width) * scale);
}

at::Tensor gather(const at::Tensor& map, const std::vector<Patch>& patches, int64_t scale) {
  if (!map.defined()) return map;
  if (patches.size() == 1) return patches.front().of(map, scale);
  std::vector<at::Tensor> parts;
  for (const auto& patch : patches) parts.push_back(patch.of(map, scale));
  return torch::cat(parts, 0);
}

PatchGrid seamless_grid(int64_t height, int64_t width, int64_t side, int64_t scale) {
  // What a border does to a network's result reaches as far whatever the patch: the outer quarter of the overlap has to hold it.
  constexpr int64_t kLeastOverlap = 32;
  const int64_t overlap = std::max<int64_t>(1, std::min(side / 2, std::max(side / 4, kLeastOverlap)));
  PatchGrid grid{.height = height, .width = width, .side = side, .stride = std::max<int64_t>(1, side - overlap), .scale = scale};
  grid.window = [shared = overlap * scale](int64_t size) { return ramp_window(size, shared); };
  return grid;
}

void blend_rows(const PatchGrid& grid, const PatchWork& work, const std::function<void(const at::Tensor&)>& take) {
  const int64_t height = std::min(grid.side, grid.height), width = std::min(grid.side, grid.width), scale = grid.scale;
  const auto vertical = torch::tensor(grid.window(height * scale), torch::kFloat64);
  const auto horizontal = torch::tensor(grid.window(width * scale), torch::kFloat64);
  const auto tops = patch_starts(grid.height, grid.side, grid.stride), lefts = patch_starts(grid.width, grid.side, grid.stride);
  at::Tensor weight, total, total_weight;  // the last two: of the rows that the present row of patches covers
  for (size_t t = 0; t < tops.size(); ++t) {
    for (size_t first = 0; first < lefts.size(); first += static_cast<size_t>(grid.batch)) {
      std::vector<Patch> patches;
      for (size_t l = first; l < std::min(lefts.size(), first + static_cast<size_t>(grid.batch)); ++l) {
        patches.push_back({tops[t], lefts[l], height, width});
      }
      const auto results = work(patches).chunk(static_cast<int64_t>(patches.size()), 0);
      if (!total.defined()) {
        const auto double_on = results[0].options().dtype(torch::kFloat64);
        weight = torch::outer(vertical, horizontal).to(results[0].device());
        total = torch::zeros({results[0].size(0), results[0].size(1), height * scale, grid.width * scale}, double_on);
        total_weight = torch::zeros({height * scale, grid.width * scale}, double_on);
      }
      for (size_t p = 0; p < patches.size(); ++p) {
        const Patch place{0, patches[p].left, height, width};
        place.of(total, scale).add_(results[p] * weight);
        place.of(total_weight, scale).add_(weight);
      }
    }
    const int64_t complete = (t + 1 < tops.size() ? tops[t + 1] - tops[t] : height) * scale;
    take(total.slice(-2, 0, complete) / total_weight.slice(-2, 0, complete));
    for (auto* sum : {&total, &total_weight}) {
      const auto begun = sum->slice(-2, complete).clone();
      sum->slice(-2, 0, begun.size(-2)).copy_(begun);
      sum->slice(-2, begun.size(-2)).zero_();
    }
  }
}

at::Tensor blend_patches(const PatchGrid& grid, const PatchWork& work, c10::ScalarType type) {
  at::Tensor whole;
  int64_t next = 0;
  blend_rows(grid, work, [&](const at::Tensor& rows) {
    if (!whole.defined()) {
      whole = torch::empty({rows.size(0), rows.size(1), grid.height * grid.scale, grid.width * grid.scale}, rows.options().dtype(type));
    }
    whole.narrow(-2, next, rows.size(-2)).copy_(rows);
    next += rows.size(-2);
  });
  return whole;
}

at::Tensor blend_patches(const at::Tensor& image, int64_t patch, int64_t stride, int64_t scale,
                         const std::function<at::Tensor(const at::Tensor&)>& work) {
  const PatchGrid grid{.height = image.size(-2), .width = image.size(-1), .side = patch, .stride = stride, .scale = scale};
  return blend_patches(grid, [&](const std::vector<Patch>& patches) { return work(patches.front().of(image)); });
}

}  // namespace lpnsr
