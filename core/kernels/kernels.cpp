#include "core/kernels/kernels.h"

#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr::kernels {
namespace {

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

bool has_avx512_bf16() {
#if defined(__x86_64__)
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

const Kernels* named(const std::string& name) {
  const Kernels* found = nullptr;
#if defined(__x86_64__)
  if (name == "avx512_bf16" && has_avx512_bf16()) found = &kKernelsAvx512Bf16;
  if (name == "avx512" && has_avx512()) found = &kKernelsAvx512;
  if (name == "avx2" && has_avx2()) found = &kKernelsAvx2;
#endif
  if (found == nullptr && name != "off") {
    std::string known = "off";
    if (has_avx2()) known += ", avx2";
    if (has_avx512()) known += ", avx512";
    if (has_avx512_bf16()) known += ", avx512_bf16";
    throw UsageError(fmt::format("LPNSR_KERNELS is '{}'; this processor has {}{}", name, known,
                                 did_you_mean(name, {"off", "avx2", "avx512", "avx512_bf16"})));
  }
  return found;
}

}  // namespace

const Kernels* kernels() {
  static const Kernels* const found = [] {
    const char* wanted = std::getenv("LPNSR_KERNELS");
    if (wanted != nullptr && *wanted != '\0') return named(wanted);
    return named(has_avx512_bf16() ? "avx512_bf16" : has_avx512() ? "avx512" : has_avx2() ? "avx2" : "off");
  }();
  return found;
}

}  // namespace lpnsr::kernels
