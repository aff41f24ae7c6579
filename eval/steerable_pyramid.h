#pragma once
// The complex steerable pyramid of Portilla and Simoncelli (2000), its bands' real parts, as NRQM uses it.
#include <vector>

#include "eval/plane.h"

namespace lpnsr {

struct SteerablePyramid {
  Plane high;                              // of the picture's size
  std::vector<std::vector<Plane>> levels;  // [level][orientation]; level 1 of the picture's size, each next one half
};

// At least 2^(levels + 2) pixels a side.
SteerablePyramid steerable_pyramid(const Plane& image, int64_t levels, int64_t orientations);

}  // namespace lpnsr
