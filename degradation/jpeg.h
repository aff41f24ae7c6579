#pragma once
#include "degradation/planes.h"

namespace lpnsr {

// DiffJPEG with hard rounding, as the references train with it: the luma table is transposed against the standard, quality is a real
// number, table entries are neither rounded nor clipped, and the result is not rounded to 8 bits. `picture` is RGB in [0,1].
Planes compress_differentiable(const Planes& picture, double quality);

// A real encoder (4:2:0) on the picture rounded to 8 bits.
Planes compress_codec(const Planes& picture, double quality);

}  // namespace lpnsr
