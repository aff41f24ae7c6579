#include "core/autocast.h"

#include <ATen/autocast_mode.h>

namespace lpnsr {

AutocastScope::AutocastScope(c10::Device device, c10::ScalarType precision)
    : device_(device.type()),
      previous_enabled_(at::autocast::is_autocast_enabled(device_)),
      previous_type_(at::autocast::get_autocast_dtype(device_)) {
  const bool lower = precision != c10::kFloat;
  if (lower) at::autocast::set_autocast_dtype(device_, precision);
  at::autocast::set_autocast_enabled(device_, lower);
  at::autocast::increment_nesting();
}

AutocastScope::~AutocastScope() {
  // The cache holds converted weights, which must not outlive a change of the weights.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, previous_enabled_);
  at::autocast::set_autocast_dtype(device_, previous_type_);
}

c10::ScalarType autocast_type(const at::Tensor& x) {
  const auto device = x.device().type();
  if (!at::autocast::is_autocast_enabled(device) || !x.is_floating_point() || x.scalar_type() == at::kDouble) return x.scalar_type();
  return at::autocast::get_autocast_dtype(device);
}

at::Tensor autocast_input(const at::Tensor& x) { return x.to(autocast_type(x)); }

}  // namespace lpnsr
