#include "core/device.h"

#include <charconv>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmt/format.h>
#include <opencv2/core/utility.hpp>

#include "core/error.h"
#include "core/log.h"

namespace lpnsr {

c10::Device parse_device(std::string_view text) {
  if (text == "cpu") return c10::kCPU;
  int index = -1;
  const bool numbered = text.starts_with("cuda:");
  if (numbered) {
    const auto [end, code] = std::from_chars(text.data() + 5, text.data() + text.size(), index);
    if (code != std::errc() || end != text.data() + text.size() || index < 0 || index > 127) index = -1;
  }
  if (text != "cuda" && index < 0) {
    throw UsageError(fmt::format("device '{}': must be cpu, cuda or cuda:N{}", text, did_you_mean(text, {"cpu", "cuda"})));
  }
#ifdef LPNSR_CUDA
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (count == 0) throw Error(fmt::format("device '{}': this machine has no GPU that CUDA can use", text));
  if (index >= count) throw Error(fmt::format("device '{}': this machine has {} GPU(s), cuda:0 to cuda:{}", text, count, count - 1));
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
#else
  throw Error(fmt::format("device '{}': this program was built for the CPU alone; tools/setup --cuda makes the GPU build", text));
#endif
}

c10::ScalarType parse_precision(std::string_view text) {
  if (text == "fp32") return c10::kFloat;
  if (text == "bf16") return c10::kBFloat16;
  if (text == "fp16") return c10::kHalf;
  throw UsageError(fmt::format("precision '{}': must be fp32, bf16 or fp16{}", text, did_you_mean(text, {"fp32", "bf16", "fp16"})));
}

c10::ScalarType usable_precision(c10::Device device, c10::ScalarType precision) {
  if (!device.is_cpu() || precision == c10::kFloat) return precision;
  // oneDNN's own word; it has no C++ declaration.
  const auto has_instructions =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow(precision == c10::kBFloat16 ? "mkldnn::_is_mkldnn_bf16_supported" : "mkldnn::_is_mkldnn_fp16_supported", "")
          .typed<bool()>();
  return has_instructions.call() ? precision : c10::kFloat;
}

void tell_of_precision(c10::Device device, c10::ScalarType precision) {
  if (usable_precision(device, precision) == precision) return;
  log_warning("this processor has no instructions for {}: fp32 takes its place, which is faster here",
              precision == c10::kBFloat16 ? "bf16" : "fp16");
}

at::Tensor sent_to(const at::Tensor& tensor, c10::Device device) {
  return device.is_cpu() || !tensor.is_cpu() ? tensor.to(device) : tensor.pin_memory().to(device, /*non_blocking=*/true);
}

void set_threads(int64_t threads) {
  if (threads < 0 || threads > 4096) throw UsageError(fmt::format("threads: must lie in [0, 4096] (0: all cores), got {}", threads));
  if (threads == 0) return;
  at::set_num_threads(static_cast<int>(threads));
  cv::setNumThreads(static_cast<int>(threads));
}

}  // namespace lpnsr
