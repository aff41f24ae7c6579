#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace lpnsr {

// "cpu", "cuda" or "cuda:N". Throws UsageError for anything else and Error where this build or machine has no such device.
c10::Device parse_device(std::string_view text);
// "fp32", "bf16" or "fp16".
c10::ScalarType parse_precision(std::string_view text);
// 0 leaves LibTorch's choice (all cores).
void set_threads(int64_t threads);

// Runs convolutions and matrix products of its scope in `precision`: autocast, or none for fp32, whatever is around it.
class AutocastScope {
 public:
  AutocastScope(c10::Device device, c10::ScalarType precision);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  c10::DeviceType device_;
  bool previous_enabled_;
  c10::ScalarType previous_type_;
};

}  // namespace lpnsr
