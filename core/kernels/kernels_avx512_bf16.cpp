// Compiled for Avx512 with products in bfloat16; run only where kernels() found it.
#include "core/kernels/lanes_avx512.h"
// The lanes come first.
#include "core/kernels/nearest.h"
#include "core/kernels/window_attention.h"

namespace lpnsr::kernels {

const Kernels kKernelsAvx512Bf16 = {Lanes::count,
                                    kFilters,
                                    Lanes::rows,
                                    winograd_of<F4>(),
                                    winograd_of<F6>(),
                                    winograd_of<F2>(),
                                    moments,
                                    apply,
                                    gradient_sums,
                                    apply_gradient,
                                    attend,
                                    attend_gradient,
                                    nearest};

}  // namespace lpnsr::kernels
