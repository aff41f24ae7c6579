#pragma once
// Messages go to stderr (and to a run's log.txt while one is attached); results go to stdout by other means.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace lpnsr {

enum class LogLevel { debug, info, warning, error };
void log_message(LogLevel level, const std::string& text);
void set_log_level(LogLevel level);
void attach_log_file(const std::filesystem::path& path);  // appends
void detach_log_file();

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

// On a terminal one line that redraws itself with rate and time left; elsewhere a plain line every 15 seconds or so.
class Progress {
 public:
  Progress(std::string what, int64_t total, int64_t done = 0, std::string unit = "it");
  ~Progress();
  void advance(int64_t steps = 1, const std::string& note = "");
  void finish();

 private:
  void draw(bool last);
  std::string what_, unit_, note_;
  int64_t total_, first_, done_;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point start_, drawn_;
};

}  // namespace lpnsr
