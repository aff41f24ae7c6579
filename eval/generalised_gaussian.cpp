#include "eval/generalised_gaussian.h"

#include <algorithm>
#include <cmath>

namespace lpnsr {

ShapeGrid::ShapeGrid(double first, bool inverse) : falls_(inverse) {
  constexpr double step = 0.001, last = 10.0 + step;
  const auto count = static_cast<int64_t>(std::ceil((last - first) / step));
  for (int64_t i = 0; i < count; ++i) {
    const double a = first + static_cast<double>(i) * step;
    const double g1 = std::lgamma(1 / a), g2 = std::lgamma(2 / a), g3 = std::lgamma(3 / a);
    shapes_.push_back(a);
    ratios_.push_back(std::exp(inverse ? g1 + g3 - 2 * g2 : 2 * g2 - g1 - g3));
    spreads_.push_back(std::sqrt(std::exp(g1 - g3)));
    means_.push_back(std::exp(g2 - g1));
  }
}

size_t ShapeGrid::nearest(double ratio) const {
  if (std::isnan(ratio)) return 0;
  const auto above = falls_ ? std::lower_bound(ratios_.begin(), ratios_.end(), ratio, [](double a, double b) { return a > b; })
                            : std::lower_bound(ratios_.begin(), ratios_.end(), ratio);
  const auto index = static_cast<size_t>(above - ratios_.begin());
  if (index == 0) return 0;
  if (index == ratios_.size()) return index - 1;
  return std::abs(ratios_[index - 1] - ratio) <= std::abs(ratios_[index] - ratio) ? index - 1 : index;
}

}  // namespace lpnsr
