#include "trainers/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lpnsr {

void LearningRateOptions::fields(FieldVisitor& v) {
  v.real("value", value, positive, "peak rate");
  v.real("minimum", minimum, non_negative, "rate at the end of the cosine");
  v.choice("schedule", schedule, {"cosine", "constant"}, "how the rate falls");
  v.choice("per", per, {"epoch", "iteration"}, "step of the cosine");
  v.integer("warmup", warmup, non_negative, "iterations of linear warm-up");
}

double learning_rate_at(const LearningRateOptions& options, int64_t iteration, int64_t iterations, int64_t epoch_length) {
  if (options.warmup > 0 && iteration > 0 && iteration <= options.warmup) {
    return options.value * static_cast<double>(iteration) / static_cast<double>(options.warmup);
  }
  if (options.schedule == "constant" || iteration == 0) return options.value;
  double done = static_cast<double>(iteration - options.warmup);
  double total = static_cast<double>(std::max<int64_t>(1, iterations - options.warmup));
  if (options.per == "epoch") {
    done = static_cast<double>(iteration / epoch_length);
    total = static_cast<double>(std::max<int64_t>(1, (iterations + epoch_length - 1) / epoch_length));
  }
  return options.minimum + 0.5 * (options.value - options.minimum) * (1.0 + std::cos(std::numbers::pi * std::min(done / total, 1.0)));
}

}  // namespace lpnsr
