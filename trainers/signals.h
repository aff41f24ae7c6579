#pragma once
#include <csignal>

namespace lpnsr {

// While it lives SIGINT and SIGTERM are noted instead of ending the program; then they mean again what they meant before.
class SignalScope {
 public:
  enum class Second { ends_the_program, is_noted };
  explicit SignalScope(Second second);
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;
  static int received();  // the last one; 0 where none was
  static int take();      // received(), which is then 0

 private:
  struct sigaction interrupt_, terminate_;
};

}  // namespace lpnsr
