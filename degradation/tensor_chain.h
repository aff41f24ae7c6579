#pragma once
#include <span>

#include <ATen/core/Tensor.h>

#include "degradation/parameters.h"

namespace lpnsr {

// degrade() for a batch, as tensors on the device of `hr`: [N,3,H,W] in [0,1] -> [N,3,H/scale,W/scale]. Samples whose sizes and modes agree
// go through an operation together, so parameters drawn once a batch (degradation.draws = "batch") are the fastest. The noise follows the
// same law as degrade()'s from other draws, those of the device's generator seeded by the samples' own seeds. jpeg = "codec" is refused
// (UsageError): a real encoder works on the CPU only.
at::Tensor degrade_batch(const at::Tensor& hr, std::span<const DegradationParameters> parameters);

}  // namespace lpnsr
