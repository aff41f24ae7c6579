#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"
#include "degradation/tensor_chain.h"
#include "trainers/data.h"
#include "trainers/pair_pool.h"
#include "trainers/sample_maker.h"

namespace lpnsr {
struct TrainingLoader::State {
  // A batch in the making: workers write their samples straight into its tensors.
  struct Slot {
    Batch batch;
    std::vector<int64_t> samples;  // of each place
    int64_t missing = 0;
    std::exception_ptr error;
    int64_t failed_sample = std::numeric_limits<int64_t>::max();
  };

  State(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t samples_a_batch, int64_t first_sample,
        Share my_share)
      : maker(data, degradation, seed, samples_a_batch),
        pool(data.pair_pool, samples_a_batch, stream_seed(seed, "pool")),
        on_device(data.degrade_on == "device"),
        share(my_share),
        batch_size(samples_a_batch / my_share.ranks),
        ahead(data.prefetch * batch_size),
        begin(first_sample) {
    if (first_sample % samples_a_batch != 0) {
      if (data.pair_pool > 0)
        throw UsageError("training.batch_size: a run with a pair pool goes on with the batch size that it began with");
      offset = first_sample;
    } else {
      for (int64_t batch = 0; batch < first_sample / samples_a_batch; ++batch) pool.next();
    }
    for (int64_t i = 0; i < data.workers; ++i) workers.emplace_back([this] { work(); });
  }

  ~State() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    room.notify_all();
    for (auto& worker : workers) worker.join();
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      room.wait(lock, [this] { return ending || claimed < handed_out + ahead; });
      if (ending) return;
      const int64_t sample = claimed++;
      const int64_t place = (sample - handed_out) % batch_size;
      if (place == 0) slots.push_back(new_slot());
      Slot& slot = slots[static_cast<size_t>((sample - handed_out) / batch_size)];
      // Views of their own: the tensors' values are written by one worker each.
      const at::Tensor hr = slot.batch.hr[place], lr = on_device ? at::Tensor() : slot.batch.lr[place];
      const int64_t number = slot.samples[static_cast<size_t>(place)];
      lock.unlock();
      std::exception_ptr error;
      SampleMaker::Made made;
      try {
        made = maker.make(number, hr, lr);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.batch.parameters[static_cast<size_t>(place)] = std::move(made.parameters);
      slot.batch.names[static_cast<size_t>(place)] = std::move(made.picture);
      if (error != nullptr && sample < slot.failed_sample) slot.error = error, slot.failed_sample = sample;
      if (--slot.missing == 0) ready.notify_all();
    }
  }

  Slot new_slot() {
    Slot slot;
    slot.batch.hr = at::empty({batch_size, 3, maker.hr_size(), maker.hr_size()}, at::kFloat);
    if (!on_device) slot.batch.lr = at::empty({batch_size, 3, maker.lr_size(), maker.lr_size()}, at::kFloat);
    slot.batch.parameters.resize(static_cast<size_t>(batch_size));
    slot.batch.names.resize(static_cast<size_t>(batch_size));
    const std::vector<int64_t> of_all = pool.next();
    slot.samples.assign(of_all.begin() + share.rank * batch_size, of_all.begin() + (share.rank + 1) * batch_size);
    for (int64_t& sample : slot.samples) sample += offset;
    slot.missing = batch_size;
    return slot;
  }

  Batch next() {
    std::unique_lock lock(mutex);
    ready.wait(lock, [this] { return !slots.empty() && slots.front().missing == 0; });
    if (slots.front().error != nullptr) std::rethrow_exception(slots.front().error);
    Batch batch = std::move(slots.front().batch);
    slots.pop_front();  // references to the other elements stay valid
    handed_out += batch_size;
    lock.unlock();
    room.notify_all();
    return batch;
  }

  SampleMaker maker;
  PairPool pool;
  const bool on_device;
  const Share share;
  const int64_t batch_size, ahead;  // of this rank
  const int64_t begin;              // the first batch's first sample
  int64_t offset = 0;               // of the samples' numbers, where the batch size changed since the run began
  std::mutex mutex;
  std::condition_variable room, ready;
  int64_t handed_out = 0, claimed = 0;  // samples of this rank
  bool ending = false;
  std::deque<Slot> slots;
  std::vector<std::thread> workers;
};

TrainingLoader::TrainingLoader(const DataOptions& data, const DegradationOptions& degradation, uint64_t seed, int64_t batch_size,
                               int64_t first_sample, Share share) {
  if (batch_size < 1) throw UsageError("training.batch_size: must be at least 1");
  if (batch_size % share.ranks != 0) {
    throw UsageError(fmt::format("training.batch_size: {} is no multiple of the number of processes, {}", batch_size, share.ranks));
  }
  state_ = std::make_unique<State>(data, degradation, seed, batch_size, first_sample, share);
}

TrainingLoader::~TrainingLoader() = default;

Batch TrainingLoader::next() { return state_->next(); }

int64_t TrainingLoader::position() const {
  const std::lock_guard lock(state_->mutex);
  return state_->begin + state_->handed_out * state_->share.ranks;
}

void degrade_on_device(Batch& batch) {
  if (!batch.lr.defined()) batch.lr = degrade_batch(batch.hr, batch.parameters);
}

int64_t TrainingLoader::pictures() const { return state_->maker.pictures(); }

}  // namespace lpnsr
