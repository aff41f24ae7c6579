#pragma once
#include "core/state_dict.h"

namespace lpnsr {

// Dynamic loss scaling for float16, as torch.amp.GradScaler does it: from 65536, halved where a gradient overflows (the update is left
// out), doubled after 2000 updates in a row without. Inactive it is 1 and stays it.
class LossScaler {
 public:
  explicit LossScaler(bool active) : active_(active), scale_(active ? 65536.0 : 1.0) {}
  bool active() const { return active_; }
  double scale() const { return scale_; }
  void updated();     // after an update
  void overflowed();  // after one that was left out
  // Scaling further down would not help: what is not finite is the loss itself.
  bool exhausted() const { return scale_ < 1.0; }

  void save(StateDict& state, const std::string& prefix) const;
  void load(const StateDict& state, const std::string& prefix);

 private:
  bool active_;
  double scale_;
  int64_t steps_without_overflow_ = 0;
};

}  // namespace lpnsr
