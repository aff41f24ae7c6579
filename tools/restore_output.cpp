#include "tools/restore_output.h"

#include <cmath>
#include <optional>

#include <ATen/Functions.h>

#include "core/resize.h"
#include "core/row_resizer.h"

namespace lpnsr {
namespace {

int64_t scaled(int64_t length, double scale) { return std::max<int64_t>(1, std::llround(static_cast<double>(length) * scale)); }

}  // namespace

int64_t RestoredPicture::height() const { return scaled(low.height(), scale); }
int64_t RestoredPicture::width() const { return scaled(low.width(), scale); }

void write_restored(const std::filesystem::path& path, const RestoredPicture& picture,
                    const std::function<void(const TakeRestored&)>& restore, const TakeRestored& also) {
  const Image& low = picture.low;
  const bool transparent = low.alpha.defined();
  const ImageLayout layout{picture.height(), picture.width(), low.bit_depth, low.gray, transparent, low.icc_profile};
  write_image_rows(path, layout, picture.rounding, [&](const TakeRows& take) {
    const auto finish = [&](const at::Tensor& rows) {
      const auto whole = rows.clamp(0, 1);
      const auto rgb = whole.slice(0, 0, 3);
      take(low.gray ? rgb.mean(0, /*keepdim=*/true) : rgb, transparent ? whole.slice(0, 3) : at::Tensor());
      if (also) also(rgb);
    };
    const int64_t height = low.height() * picture.network_scale, width = low.width() * picture.network_scale;
    std::optional<RowResizer> resizer;
    if (layout.height != height || layout.width != width) resizer.emplace(height, layout.height, layout.width, finish);
    int64_t next = 0;
    restore([&](const at::Tensor& restored) {
      auto rows = restored.cpu();
      const int64_t end = next + rows.size(1);
      if (transparent) {
        rows = at::cat({rows.to(at::kFloat), resize_bicubic_scale_rows(low.alpha, picture.network_scale, next, end)}, 0);
      }
      next = end;
      resizer ? resizer->add(rows) : finish(rows);
    });
  });
}

SampleStatistics::SampleStatistics(int64_t height, int64_t width)
    : mean_(at::zeros({3, height, width}, at::kFloat)), squares_(at::zeros_like(mean_)) {}

void SampleStatistics::begin_sample() {
  ++samples_;
  next_ = 0;
}

void SampleStatistics::add(const at::Tensor& rows) {
  const int64_t count = rows.size(1);
  auto mean = mean_.narrow(1, next_, count);
  const auto difference = rows.to(at::kFloat) - mean;
  mean.add_(difference / static_cast<double>(samples_));
  squares_.narrow(1, next_, count).add_(difference * (rows.to(at::kFloat) - mean));
  next_ += count;
}

at::Tensor SampleStatistics::spread() const { return (squares_ / static_cast<double>(std::max<int64_t>(1, samples_ - 1))).sqrt(); }

}  // namespace lpnsr
