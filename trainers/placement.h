#pragma once
#include <c10/core/Device.h>

#include "core/cuda_graph.h"
#include "trainers/ranks.h"

namespace lpnsr {

// Where a run computes, and how.
struct Placement {
  c10::Device device = c10::kCPU;
  Ranks ranks = {};
  GraphRecorder recorder = {};  // of the iterations' passes; empty: each is computed operator by operator
};

}  // namespace lpnsr
