#include "trainers/sample_maker.h"

#include <cstring>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"
#include "degradation/blur.h"
#include "degradation/degrade.h"
#include "trainers/crop.h"

namespace lpnsr {

SampleMaker::SampleMaker(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t batch_size)
    : data_(data), degradation_(degradation), seed_(seed), batch_size_(batch_size), store_(data) {
  for (const auto& [key, side] : {std::pair{"crop_size", data.crop_size}, {"degraded_size", data.degraded_size}}) {
    if (side % degradation.scale != 0) {
      throw UsageError(fmt::format("data.{}: {} is no multiple of degradation.scale, {}", key, side, degradation.scale));
    }
  }
}

SampleMaker::Order SampleMaker::order_of(int64_t epoch) {
  const std::lock_guard lock(mutex_);
  Order& order = orders_[epoch];
  if (order == nullptr) {
    std::vector<int64_t> shuffled(static_cast<size_t>(store_.size()));
    std::iota(shuffled.begin(), shuffled.end(), 0);
    RandomStream stream(stream_seed(seed_, "shuffle", {static_cast<uint64_t>(epoch)}));
    for (int64_t last = store_.size() - 1; last > 0; --last) {
      std::swap(shuffled[static_cast<size_t>(last)], shuffled[static_cast<size_t>(stream.integer(0, last))]);
    }
    order = std::make_shared<const std::vector<int64_t>>(std::move(shuffled));
  }
  const Order result = order;
  while (orders_.size() > 8) orders_.erase(orders_.begin()->first == epoch ? std::next(orders_.begin()) : orders_.begin());
  return result;
}

// Where a picture is unreadable and may be, the next one of the epoch stands in for it.
std::shared_ptr<const Picture> SampleMaker::picture_of(int64_t sample) {
  const Order order = order_of(sample / store_.size());
  for (int64_t tried = 0; tried < store_.size(); ++tried) {
    if (auto picture = store_.get((*order)[static_cast<size_t>((sample + tried) % store_.size())])) return picture;
  }
  throw DataError("data: none of the training pictures can be read");
}

SampleMaker::Made SampleMaker::make(int64_t sample, const at::Tensor& hr, const at::Tensor& lr) {
  const auto picture = picture_of(sample);
  RandomStream stream(stream_seed(seed_, "sample", {static_cast<uint64_t>(sample)}));
  const CropParameters crop = draw_crop(picture->height, picture->width, data_, stream);
  const bool cut_after = crop.size > data_.crop_size;  // the pair is cut out of a larger one
  at::Tensor target = cut_after ? at::empty({3, crop.size, crop.size}, at::kFloat) : hr;
  crop_into(*picture, crop, target.data_ptr<float>());
  const RandomStream shared(stream_seed(seed_, "batch", {static_cast<uint64_t>(sample / batch_size_)}));
  DegradationParameters parameters =
      degradation_.draws == "batch" ? draw_parameters_in_batch(degradation_, shared, stream) : draw_parameters(degradation_, stream);
  if (std::exchange(parameters.sharpen, false)) {  // the sharpened target is also what is learned
    const Planes sharp = sharpen(planes_of(target));
    std::memcpy(target.data_ptr<float>(), sharp.values.data(), sharp.values.size() * sizeof(float));
  }
  if (!lr.defined()) return {std::move(parameters), picture->name};
  at::Tensor degraded = degrade(target, parameters);
  if (cut_after) {
    const int64_t spare = degraded.size(1) - lr_size(), top = stream.integer(0, spare), left = stream.integer(0, spare);
    degraded = degraded.narrow(1, top, lr_size()).narrow(2, left, lr_size());
    hr.copy_(target.narrow(1, top * degradation_.scale, hr_size()).narrow(2, left * degradation_.scale, hr_size()));
  }
  lr.copy_(degraded);
  return {std::move(parameters), picture->name};
}

}  // namespace lpnsr
