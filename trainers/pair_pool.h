#pragma once
#include <cstdint>
#include <vector>

namespace lpnsr {

// Real-ESRGAN's training pair pool, whose purpose is to mix samples of differently degraded batches: once `size` samples wait in it, each
// new batch takes the places of one that is drawn from it. Here it holds the samples' numbers alone, for every sample that is drawn from
// the pool is used once: the pool is nothing but an order.
class PairPool {
 public:
  PairPool(int64_t size, int64_t batch_size, uint64_t seed);  // a multiple of the batch; 0: samples in their own order
  std::vector<int64_t> next();                                // the samples of the next batch

 private:
  int64_t size_, batch_size_;
  uint64_t seed_;
  int64_t batches_ = 0;
  std::vector<int64_t> waiting_;
};

}  // namespace lpnsr
