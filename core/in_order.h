#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <future>

namespace lpnsr {

// Calls make(i) for i = 0 … count-1 on `threads` threads and take(i, result) in that order on the calling one. At most `threads` results
// exist at a time, so memory does not grow with the count. What `make` throws comes out of this call, in its turn.
template <class Make, class Take>
void in_order(int64_t count, int64_t threads, const Make& make, const Take& take) {
  std::deque<std::future<decltype(make(int64_t{}))>> running;
  int64_t started = 0;
  for (int64_t i = 0; i < count; ++i) {
    while (started < count && started < i + threads) {
      running.push_back(std::async(threads > 1 ? std::launch::async : std::launch::deferred, make, started++));
    }
    auto result = std::move(running.front());
    running.pop_front();
    take(i, result.get());
  }
}

}  // namespace lpnsr
