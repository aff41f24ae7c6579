#pragma once
// A damaged file for parameterised tests.
#include <string>

namespace lpnsr::testing {

struct Fault {
  const char* name;
  std::string bytes;
  const char* message;  // part of what is said of it
};

}  // namespace lpnsr::testing
