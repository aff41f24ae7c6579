#pragma once
#include "degradation/kernels.h"
#include "degradation/planes.h"

namespace lpnsr {

enum class Border { reflect, zero };  // reflect: the edge is not repeated

// Correlation with one kernel for all channels.
Planes filter(const Planes& picture, const Kernel& kernel, Border border);

// Real-ESRGAN's unsharp mask of the target: sharpened only where the difference from the blurred picture exceeds the threshold.
Planes sharpen(const Planes& picture);

}  // namespace lpnsr
