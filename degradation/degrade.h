#pragma once
#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "degradation/parameters.h"

namespace lpnsr {

// hr float32 [3,H,W] in [0,1], H and W multiples of the scale -> LR [3,H/scale,W/scale] in [0,1], rounded to 8 bits as the references do.
// The same bytes for the same parameters whatever the threads. `observe` sees each stage's name and picture.
at::Tensor degrade(const at::Tensor& hr, const DegradationParameters& parameters,
                   const std::function<void(const std::string&, const at::Tensor&)>& observe = {});

}  // namespace lpnsr
