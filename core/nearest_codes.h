#pragma once
// The lookup of a vector quantiser.
#include <ATen/core/Tensor.h>

namespace lpnsr {

// Index of the code that is nearest to each point, the first of equally near ones: points [P,C], codes [K,C], floating point; int64 [P].
// No gradients, and no lower precision under autocast.
at::Tensor nearest_codes(const at::Tensor& points, const at::Tensor& codes);

}  // namespace lpnsr
