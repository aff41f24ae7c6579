#pragma once
// The one place that sees LibTorch's communication library. Inside of trainers/ only.
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "trainers/ranks.h"

namespace lpnsr {

struct Ranks::Group {
  c10::intrusive_ptr<c10d::ProcessGroup> processes;
};

}  // namespace lpnsr
