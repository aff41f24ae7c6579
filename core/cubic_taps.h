#pragma once
// MATLAB's imresize (BasicSR's and pyiqa's) along one axis: Keys' cubic with a = -0.5, antialiased when it shrinks, borders mirrored with
// the edge repeated.
#include <cstdint>
#include <vector>

namespace lpnsr {

// Keys' cubic kernel with a = -0.5.
double keys_cubic(double x);

struct CubicTaps {
  int64_t count = 0;             // weights of each output
  std::vector<int64_t> indices;  // [out * count], all inside the input
  std::vector<double> weights;   // [out * count], each output's sum to one
};
CubicTaps cubic_taps(int64_t in, int64_t out, double scale, bool antialias);

}  // namespace lpnsr
