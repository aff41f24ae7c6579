// Compiled for Avx2; run only where kernels() found it.
#include "core/kernels/lanes_avx2.h"
// The lanes come first.
#include "core/kernels/winograd.h"

namespace lpnsr::kernels {

const Kernels kKernelsAvx2 = {Lanes::count, kFilters, Lanes::rows, transform_filters, transform_input,
                              multiply,     moments,  apply,       gradient_sums,     apply_gradient};

}  // namespace lpnsr::kernels
