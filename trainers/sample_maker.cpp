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

SampleMaker::SampleMaker(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed)
    : data_(data), degradation_(degradation), seed_(seed), store_(data) {
  if (data.crop_size % degradation.scale != 0) {
    throw UsageError(fmt::format("data.crop_size: {} is no multiple of degradation.scale, {}", data.crop_size, degradation.scale));
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

void SampleMaker::make(int64_t sample, const at::Tensor& hr, const at::Tensor& lr) {
  const auto picture = picture_of(sample);
  RandomStream stream(stream_seed(seed_, "sample", {static_cast<uint64_t>(sample)}));
  crop_into(*picture, draw_crop(picture->height, picture->width, data_, stream), hr.data_ptr<float>());
  DegradationParameters parameters = draw_parameters(degradation_, stream);
  if (std::exchange(parameters.sharpen, false)) {  // the sharpened target is also what is learned
    const Planes sharp = sharpen(planes_of(hr));
    std::memcpy(hr.data_ptr<float>(), sharp.values.data(), sharp.values.size() * sizeof(float));
  }
  const at::Tensor degraded = degrade(hr, parameters);
  std::memcpy(lr.data_ptr<float>(), degraded.data_ptr<float>(), static_cast<size_t>(degraded.numel()) * sizeof(float));
}

}  // namespace lpnsr
