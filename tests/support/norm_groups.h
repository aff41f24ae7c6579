#pragma once
// Looks at the group normalisations of a network.
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>

namespace lpnsr::testing {

// Expects `groups` of every group normalisation and returns their number.
inline int64_t expect_norm_groups(const torch::nn::Module& network, int64_t groups) {
  int64_t normalisations = 0;
  for (const auto& module : network.modules(/*include_self=*/false)) {
    const auto* norm = module->as<torch::nn::GroupNorm>();
    if (norm == nullptr) continue;
    EXPECT_EQ(norm->options.num_groups(), groups);
    ++normalisations;
  }
  return normalisations;
}

}  // namespace lpnsr::testing
