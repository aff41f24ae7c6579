#pragma once
#include <csignal>

namespace lpnsr {

// While it lives SIGINT and SIGTERM ask the loop to end after the current iteration; a second one ends the program at once.
class SignalScope {
 public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;
  static int received();  // 0 where none was

 private:
  struct sigaction interrupt_, terminate_;
};

}  // namespace lpnsr
