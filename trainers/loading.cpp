#include "trainers/loading.h"

#include <fmt/format.h>

#include "core/device.h"
#include "core/error.h"

namespace lpnsr {

Batch on_device(const Batch& batch, c10::Device device) {
  Batch there = batch;
  there.hr = sent_to(batch.hr, device);
  if (batch.lr.defined()) there.lr = sent_to(batch.lr, device);
  degrade_on_device(there);
  return there;
}

int64_t part_size(const TrainingOptions& training, int64_t processes) {
  if (training.batch_size % (processes * training.parts) != 0) {
    throw UsageError(fmt::format("training.batch_size: {} is no multiple of {} processes times {} parts (training.parts)",
                                 training.batch_size, processes, training.parts));
  }
  return training.batch_size / (processes * training.parts);
}

std::vector<Part> parts_of(const Batch& share, int64_t parts, const Ranks& ranks) {
  const int64_t size = share.hr.size(0), each = size / parts;
  std::vector<Part> result;
  for (int64_t number = 0; number < parts; ++number) {
    const int64_t start = number * each;
    Batch batch{share.hr.narrow(0, start, each), share.lr.narrow(0, start, each)};
    batch.names.assign(share.names.begin() + start, share.names.begin() + start + each);
    result.push_back({std::move(batch), ranks.rank() * size + start, ranks.count() * size, number, parts});
  }
  return result;
}

}  // namespace lpnsr
