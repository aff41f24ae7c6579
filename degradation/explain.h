#pragma once
#include <string>
#include <utility>
#include <vector>

#include "degradation/parameters.h"

namespace lpnsr {

// The stages that degrade() takes with these parameters for a picture of that size, in order: the name that its observer sees, and what is
// done in words and numbers.
std::vector<std::pair<std::string, std::string>> explain(const DegradationParameters& parameters, int64_t height, int64_t width);

}  // namespace lpnsr
