#pragma once
#include <cstdint>

#include <c10/core/Device.h>

namespace lpnsr {

// Bytes that this process may still take: what the system calls available, within the limits of its control groups (containers, Slurm); on
// a GPU what is free there.
int64_t available_memory(c10::Device device = c10::kCPU);
// Bytes of main memory that this process holds.
int64_t resident_memory();

// Tells glibc to keep freed memory instead of returning each large block to the system: a third of the decoder's time otherwise. Call first
// in main. LPNSR_ALLOCATOR=system leaves glibc as it is.
void keep_allocator_memory();
// Returns what is kept to the system: for when blocks of other sizes come, which might not fit where the last ones lay.
void give_back_freed_memory();

}  // namespace lpnsr
