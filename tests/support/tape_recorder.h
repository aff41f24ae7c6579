#pragma once
#include "core/cuda_graph.h"

namespace lpnsr::testing {

// Does on the CPU what a CUDA graph does on a GPU, under the same rules: operators are noted below autograd with the memory that they read
// and write, and done again on that memory. What the host does between them is not repeated: a number that it passes, a tensor that it
// fills, a cache that it looks into. Throws c10::Error, as a graph, where the host asks for a value (item()). Kernels of our own, which no
// operator calls, are not seen: for networks in float64 there are none. Nor are streams and the reuse of memory.
GraphRecorder tape_recorder();

}  // namespace lpnsr::testing
