#pragma once
// Random-forest regression with the trees that MATLAB's randomforest-matlab package grows.
#include <cstdint>
#include <span>
#include <vector>

namespace lpnsr {

struct ForestNode {
  int32_t left = -1, right = -1;  // within the tree; -1: a leaf
  int32_t feature = 0;
  double threshold = 0, prediction = 0;
};

struct RandomForest {
  std::vector<std::vector<ForestNode>> trees;
  // Mean over trees of the leaf that the features lead to; left where the feature is not above the threshold.
  double predict(std::span<const double> features) const;
};

}  // namespace lpnsr
