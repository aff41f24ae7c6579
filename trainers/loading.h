#pragma once
// From the loader's batch in host memory to the parts that a rank computes on its device.
#include "trainers/method.h"

namespace lpnsr {

// A copy on the device, degraded there where the workers did not; from pinned memory the copy does not wait.
Batch on_device(const Batch& batch, c10::Device device);

// Pictures in each part of a process' share of a batch. Throws UsageError where the batch is no multiple of processes times parts.
int64_t part_size(const TrainingOptions& training, int64_t processes);
// A rank's share of a batch in equal parts.
std::vector<Part> parts_of(const Batch& share, int64_t parts, const Ranks& ranks);

}  // namespace lpnsr
