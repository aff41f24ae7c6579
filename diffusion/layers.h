#pragma once
// Layers that several networks build on.
#include <string>

#include "core/convolution.h"

namespace lpnsr {

constexpr int64_t kNormGroups = 32;  // of every group normalisation in the published networks

// Throws UsageError, naming the setting `what`, where the groups do not divide the channels.
GroupNorm group_normalisation(int64_t groups, int64_t channels, double eps, const std::string& what);
Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride = 1);  // padded to keep the size
void set_to_zero(Conv2d& layer);

}  // namespace lpnsr
