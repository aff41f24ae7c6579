#pragma once
// Which of the published networks a set of weights belongs to.
#include <string>
#include <vector>

#include "core/state_dict.h"

namespace lpnsr {

struct ModuleFit {
  std::string module;  // under the name of `lpnsr forward`
  Misfits faults;
};

// Names of the networks that can be built.
std::vector<std::string> buildable_modules();

// The networks of published size whose tell-tale key is among the weights, each built and compared; the best fit first.
std::vector<ModuleFit> fits_of(const StateDict& weights);

}  // namespace lpnsr
