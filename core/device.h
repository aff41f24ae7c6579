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

}  // namespace lpnsr
