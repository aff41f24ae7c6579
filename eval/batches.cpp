#include "eval/batches.h"

#include <map>

#include <ATen/Functions.h>

namespace lpnsr {
namespace {

constexpr int64_t kMostOnGpu = 16, kPixelsOnGpu = int64_t{1} << 21;  // 8 pictures of 512x512: 2 GB of VGG16's first maps in LPIPS

}  // namespace

int64_t BatchSize::most() const { return asked > 0 ? asked : device.is_cpu() ? 1 : kMostOnGpu; }

int64_t BatchSize::of(int64_t pixels) const { return asked > 0 ? asked : std::clamp<int64_t>(kPixelsOnGpu / pixels, 1, most()); }

at::Tensor in_batches(const std::vector<at::Tensor>& images, const std::vector<at::Tensor>& references, const BatchSize& size,
                      const BatchWork& work) {
  std::map<std::vector<int64_t>, std::vector<size_t>> of_size;
  for (size_t i = 0; i < images.size(); ++i) of_size[images[i].sizes().vec()].push_back(i);
  std::vector<at::Tensor> results(images.size());
  for (const auto& [shape, places] : of_size) {
    const auto at_once = static_cast<size_t>(size.of(shape[1] * shape[2]));
    for (size_t first = 0; first < places.size(); first += at_once) {
      const size_t last = std::min(first + at_once, places.size());
      const auto stacked = [&](const std::vector<at::Tensor>& pictures) {
        if (pictures.empty()) return at::Tensor();
        std::vector<at::Tensor> batch;
        for (size_t k = first; k < last; ++k) batch.push_back(pictures[places[k]]);
        return at::stack(batch);
      };
      const auto rows = work(stacked(images), stacked(references));
      for (size_t k = first; k < last; ++k) results[places[k]] = rows[static_cast<int64_t>(k - first)];
    }
  }
  return at::stack(results);
}

}  // namespace lpnsr
