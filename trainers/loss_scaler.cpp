#include "trainers/loss_scaler.h"

namespace lpnsr {

void LossScaler::updated() {
  constexpr int64_t kGrowthInterval = 2000;
  if (!active_ || ++steps_without_overflow_ < kGrowthInterval) return;
  scale_ *= 2.0;
  steps_without_overflow_ = 0;
}

void LossScaler::overflowed() {
  if (!active_) return;
  scale_ *= 0.5;
  steps_without_overflow_ = 0;
}

void LossScaler::save(StateDict& state, const std::string& prefix) const {
  if (active_) state.add(prefix + "loss_scale", torch::tensor({scale_, static_cast<double>(steps_without_overflow_)}, torch::kFloat64));
}

void LossScaler::load(const StateDict& state, const std::string& prefix) {
  const at::Tensor* saved = active_ ? state.find(prefix + "loss_scale") : nullptr;
  if (saved == nullptr) return;
  scale_ = (*saved)[0].item<double>();
  steps_without_overflow_ = static_cast<int64_t>((*saved)[1].item<double>());
}

}  // namespace lpnsr
