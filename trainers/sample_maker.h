#pragma once
// Sample number p, from nothing but the options, the seed and p.
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "degradation/options.h"
#include "trainers/data.h"
#include "trainers/picture_store.h"

namespace lpnsr {

// May be used by several threads at once.
class SampleMaker {
 public:
  // `batch_size` samples in a row share what is drawn once a batch.
  SampleMaker(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t batch_size);
  int64_t pictures() const { return store_.size(); }
  int64_t hr_size() const { return data_.crop_size; }
  int64_t lr_size() const { return data_.crop_size / degradation_.scale; }
  struct Made {
    DegradationParameters parameters;  // what was drawn
    std::string picture;
  };
  // Fills [3,hr,hr] and, where it is defined, [3,lr,lr].
  Made make(int64_t sample, const at::Tensor& hr, const at::Tensor& lr);

 private:
  using Order = std::shared_ptr<const std::vector<int64_t>>;
  Order order_of(int64_t epoch);
  std::shared_ptr<const Picture> picture_of(int64_t sample);

  DataOptions data_;
  DegradationOptions degradation_;
  uint64_t seed_;
  int64_t batch_size_;
  PictureStore store_;
  std::mutex mutex_;
  std::map<int64_t, Order> orders_;  // of the newest epochs
};

}  // namespace lpnsr
