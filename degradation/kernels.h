#pragma once
// Blur kernels of the RealESRGAN pipeline (Wang et al. 2021, section 3.2 and appendix B).
#include <cstdint>
#include <string>
#include <vector>

#include "degradation/parameters.h"

namespace lpnsr {

// Square, of odd size, indexed [row][column].
struct Kernel {
  int64_t size = 0;
  std::vector<double> taps;
  double at(int64_t row, int64_t column) const { return taps[static_cast<size_t>(row * size + column)]; }
};

// Normalised, then padded with zeros to `padded_size`; type "none" gives the unit pulse. `flavour` chooses the formula of the sinc.
Kernel make_kernel(const KernelParameters& parameters, const std::string& flavour);

// Outer product of the normalised 1-D Gaussian.
Kernel gaussian_kernel(int64_t size, double sigma);

}  // namespace lpnsr
