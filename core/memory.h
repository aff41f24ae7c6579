#pragma once
#include <cstdint>

#include <c10/core/Device.h>

namespace lpnsr {

// Bytes that this process may still take: what the system calls available, within the limits of its control groups (containers, Slurm); on
// a GPU what is free there.
int64_t available_memory(c10::Device device = c10::kCPU);
// Bytes of main memory that this process holds.
int64_t resident_memory();

}  // namespace lpnsr
