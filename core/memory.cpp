#include "core/memory.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <malloc.h>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#ifdef LPNSR_CUDA
#include <cuda_runtime_api.h>

#include <c10/cuda/CUDAGuard.h>
#endif

namespace lpnsr {
namespace {

std::optional<int64_t> number_in(const std::filesystem::path& file) {
  std::ifstream stream(file);
  int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

// What the limits of this process's control group (version 2) and of those above it leave.
int64_t left_in_control_groups() {
  int64_t left = std::numeric_limits<int64_t>::max();
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::")) continue;
    const std::filesystem::path root = "/sys/fs/cgroup";
    for (auto group = std::filesystem::path(line.substr(3)).relative_path();; group = group.parent_path()) {
      const auto limit = number_in(root / group / "memory.max"), used = number_in(root / group / "memory.current");
      if (limit && used) left = std::min(left, std::max<int64_t>(0, *limit - *used));
      if (group.empty()) break;
    }
  }
  return left;
}

int64_t available_in_system() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") return kibibytes * 1024;
  }
  return std::numeric_limits<int64_t>::max();
}

}  // namespace

int64_t available_memory(c10::Device device) {
#ifdef LPNSR_CUDA
  if (device.is_cuda()) {
    const c10::cuda::CUDAGuard guard(device);
    size_t left = 0, total = 0;
    return cudaMemGetInfo(&left, &total) == cudaSuccess ? static_cast<int64_t>(left) : 0;
  }
#endif
  static_cast<void>(device);
  return std::min(available_in_system(), left_in_control_groups());
}

int64_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

void keep_allocator_memory() {
  const char* wanted = std::getenv("LPNSR_ALLOCATOR");
  if (wanted != nullptr && std::string_view(wanted) == "system") return;
  constexpr int kGigabyte = 1 << 30, kHeapLimit = 32 << 20;
  if (mallopt(M_MMAP_THRESHOLD, kGigabyte) == 0) mallopt(M_MMAP_THRESHOLD, kHeapLimit);  // older glibc takes no more
  mallopt(M_TRIM_THRESHOLD, -1);                                                         // never give back
  mallopt(M_TOP_PAD, 64 << 20);                                                          // grow in large steps
}

void give_back_freed_memory() { malloc_trim(0); }

}  // namespace lpnsr
