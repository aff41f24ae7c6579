#include "trainers/signals.h"

#include <utility>

namespace lpnsr {
namespace {

volatile std::sig_atomic_t received_signal = 0;
extern "C" void remember_signal(int signal) { received_signal = signal; }

}  // namespace

SignalScope::SignalScope(Second second) : interrupt_{}, terminate_{} {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember_signal;
  if (second == Second::ends_the_program) action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, &interrupt_);
  sigaction(SIGTERM, &action, &terminate_);
}

SignalScope::~SignalScope() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
}

int SignalScope::received() { return received_signal; }

int SignalScope::take() { return std::exchange(received_signal, 0); }

}  // namespace lpnsr
