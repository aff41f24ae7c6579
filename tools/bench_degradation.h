#pragma once
#include <span>

#include <ATen/core/Tensor.h>

#include "degradation/parameters.h"

namespace lpnsr {

// The plain form: ResShift's chain in LibTorch tensors, [N,3,H,W] to [N,3,H/scale,W/scale]; parameters as drawn for a batch.
at::Tensor degrade_as_published(const at::Tensor& hr, std::span<const DegradationParameters> samples);

}  // namespace lpnsr
