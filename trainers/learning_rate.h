#pragma once
#include <cstdint>
#include <string>

#include "core/config.h"

namespace lpnsr {

struct LearningRateOptions {
  double value = 5e-5;
  double minimum = 1e-5;            // of the cosine
  std::string schedule = "cosine";  // cosine | constant
  std::string per = "epoch";        // the cosine's step: epoch (released LPNSR) | iteration (ResShift)
  int64_t warmup = 0;               // iterations of linear warm-up; as published by ResShift, the first runs at the full rate
  void fields(FieldVisitor& v);
};

// The rate at an iteration counted from 0, of a run of `iterations` in epochs of `epoch_length`.
//   per epoch:     minimum + (value - minimum)/2 (1 + cos(pi e / E)), e finished epochs of E
//   per iteration: value (k-1)/warmup up to k = warmup + 1 (k = iteration + 1; the published trainer sets the rate after each update, so k
//   = 1 runs at
//                  `value`), then the cosine over the iterations that are left.
double learning_rate_at(const LearningRateOptions& options, int64_t iteration, int64_t iterations, int64_t epoch_length);

}  // namespace lpnsr
