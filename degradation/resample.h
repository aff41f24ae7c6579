#pragma once
// Resizing as torch.nn.functional.interpolate does it in the references: no antialiasing, no clamping.
#include <string>

#include "degradation/planes.h"

namespace lpnsr {

// `mode` is area (adaptive average pooling), bilinear or bicubic (a = -0.75).
// By a factor: floor(in * factor) pixels, sampled in steps of exactly 1 / factor.
Planes resize_by(const Planes& picture, double factor, const std::string& mode);
// To a size: steps of in / out.
Planes resize_to(const Planes& picture, int64_t height, int64_t width, const std::string& mode);

}  // namespace lpnsr
