#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace lpnsr {

// "cpu", "cuda" or "cuda:N". Throws UsageError for anything else and Error where this build or machine has no such device.
c10::Device parse_device(std::string_view text);
// "fp32", "bf16" or "fp16".
c10::ScalarType parse_precision(std::string_view text);
// `precision`, or float32 on a processor without instructions for it: many times as fast there, and more exact.
c10::ScalarType usable_precision(c10::Device device, c10::ScalarType precision);
void tell_of_precision(c10::Device device, c10::ScalarType precision);  // where that is float32 in its place
// A copy on a GPU from pinned memory, which is not waited for; a tensor that is there already, and any on the CPU, as it is.
at::Tensor sent_to(const at::Tensor& tensor, c10::Device device);
// 0 leaves LibTorch's choice (all cores).
void set_threads(int64_t threads);

}  // namespace lpnsr
