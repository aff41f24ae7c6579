#include "eval/random_forest.h"

namespace lpnsr {

double RandomForest::predict(std::span<const double> features) const {
  double sum = 0;
  for (const auto& tree : trees) {
    size_t node = 0;
    while (true) {
      const auto& here = tree[node];
      const int32_t next = features[static_cast<size_t>(here.feature)] <= here.threshold ? here.left : here.right;
      if (next < 0) break;
      node = static_cast<size_t>(next);
    }
    sum += tree[node].prediction;
  }
  return sum / static_cast<double>(trees.size());
}

}  // namespace lpnsr
