#pragma once
// Shape of a generalised Gaussian by moment matching (Sharifi and Leon-Garcia 1995) on the grids of the published programs.
#include <cstdint>
#include <vector>

namespace lpnsr {

class ShapeGrid {
 public:
  // first, first + 0.001, … up to 10. `inverse`: the table holds G(1/a) G(3/a) / G(2/a)^2, which falls with a; else its inverse, which
  // rises.
  ShapeGrid(double first, bool inverse);
  // Index of the shape whose ratio is nearest, the first of equals; 0 for NaN, as an argmin over NaN gives.
  size_t nearest(double ratio) const;
  double shape(size_t index) const { return shapes_[index]; }
  double spread(size_t index) const { return spreads_[index]; }  // sqrt(G(1/a) / G(3/a))
  double mean(size_t index) const { return means_[index]; }      // G(2/a) / G(1/a)

 private:
  std::vector<double> shapes_, ratios_, spreads_, means_;
  bool falls_;
};

}  // namespace lpnsr
