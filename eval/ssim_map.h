#pragma once
#include "eval/plane.h"

namespace lpnsr {

// Means over the map of structural similarity (Wang et al. 2004) of two planes of one size with values in 0..255: 11x11 Gaussian window of
// sigma 1.5, only windows that lie within the planes (at least 11 pixels a side).
struct SsimMeans {
  double ssim = 0;
  double contrast = 0;  // of the contrast-structure factor alone
};
struct SsimMapOptions {
  bool clipped = false;         // the contrast-structure factor is cut at 0 first, and the window rounded to float32, as in pyiqa
  int64_t left_out_at_end = 0;  // last rows and columns of the map that are left out
};
SsimMeans ssim_means(const Plane& a, const Plane& b, const SsimMapOptions& options = {});

}  // namespace lpnsr
