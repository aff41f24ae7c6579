// Compiled for Avx512; run only where kernels() found it.
#include "core/kernels/lanes_avx512.h"
// The lanes come first.
#include "core/kernels/winograd.h"

namespace lpnsr::kernels {

const Kernels kKernelsAvx512 = {Lanes::count, kFilters, Lanes::rows, transform_filters, transform_input,
                                multiply,     moments,  apply,       gradient_sums,     apply_gradient};

}  // namespace lpnsr::kernels
