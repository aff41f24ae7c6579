#pragma once
#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "degradation/parameters.h"
#include "degradation/planes.h"

namespace lpnsr {

// Sees a stage's name (first.blur, first.resize, first.noise, first.jpeg, second.*, final.*, round) and the picture after it.
using StageObserver = std::function<void(const std::string&, const Planes&)>;

// hr float32 [3,H,W] in [0,1], H and W multiples of the scale -> LR [3,H/scale,W/scale] in [0,1], rounded to 8 bits as the references do.
// The same bytes for the same parameters whatever the threads.
at::Tensor degrade(const at::Tensor& hr, const DegradationParameters& parameters, const StageObserver& observe = {});

}  // namespace lpnsr
