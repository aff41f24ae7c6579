#include "trainers/pair_pool.h"

#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"

namespace lpnsr {

PairPool::PairPool(int64_t size, int64_t batch_size, uint64_t seed) : size_(size), batch_size_(batch_size), seed_(seed) {
  if (size % batch_size != 0) {
    throw UsageError(fmt::format("data.pair_pool: {} is no multiple of training.batch_size, {}", size, batch_size));
  }
}

std::vector<int64_t> PairPool::next() {
  std::vector<int64_t> fresh(static_cast<size_t>(batch_size_));
  std::iota(fresh.begin(), fresh.end(), batches_++ * batch_size_);
  if (static_cast<int64_t>(waiting_.size()) < size_) {  // while it fills, the batch is used as it comes
    waiting_.insert(waiting_.end(), fresh.begin(), fresh.end());
    return fresh;
  }
  // The first of a whole shuffle of the pool, exchanged for the new.
  RandomStream stream(stream_seed(seed_, "pair pool", {static_cast<uint64_t>(batches_)}));
  for (size_t i = 0; i < fresh.size() && !waiting_.empty(); ++i) {
    std::swap(waiting_[i],
              waiting_[static_cast<size_t>(stream.integer(static_cast<int64_t>(i), static_cast<int64_t>(waiting_.size()) - 1))]);
  }
  if (!waiting_.empty()) std::swap_ranges(fresh.begin(), fresh.end(), waiting_.begin());
  return fresh;
}

}  // namespace lpnsr
