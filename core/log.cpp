#include "core/log.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/error.h"

namespace lpnsr {
namespace {

// stderr and the run's log, shared by messages and by the line that a Progress redraws: a message first wipes that line.
class Logger {
 public:
  void message(LogLevel level, const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (level < level_) return;
    const char* mark = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
    put(mark + text + "\n");
    if (!file_.is_open()) return;
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm local{};
    localtime_r(&now, &local);
    file_ << std::put_time(&local, "%Y-%m-%d %H:%M:%S ") << mark << text << std::endl;
    if (file_) return;
    file_.close();  // a full disk ends the log, not the run: what matters is written elsewhere and refused there
    put("warning: the log file cannot be written any more\n");
  }

  void progress(const std::string& line, bool stays) {
    const std::lock_guard lock(mutex_);
    if (level_ > LogLevel::info) return;
    put(line + (stays ? "\n" : ""));
    drawn_ = !stays;
  }

  void set_level(LogLevel level) {
    const std::lock_guard lock(mutex_);
    level_ = level;
  }

  void attach(const std::filesystem::path& path) {
    std::ofstream file(path, std::ios::app);
    if (!file) throw Error(fmt::format("{}: the log cannot be written: {}", path.string(), std::strerror(errno)));
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
  }

  void detach() {
    const std::lock_guard lock(mutex_);
    file_ = std::ofstream();
  }

 private:
  void put(const std::string& text) {
    const std::string whole = (drawn_ ? "\r\x1b[K" : "") + text;
    drawn_ = false;
    std::fputs(whole.c_str(), stderr);
    std::fflush(stderr);
  }

  std::mutex mutex_;
  std::ofstream file_;
  LogLevel level_ = LogLevel::info;
  bool drawn_ = false;
};

Logger& logger() {
  static Logger instance;
  return instance;
}

constexpr double kRedrawSeconds = 0.1, kPlainSeconds = 15.0;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::min(seconds, 3.6e8) + 0.5);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60) : fmt::format("{:02}:{:02}", minutes, whole % 60);
}

}  // namespace

void log_message(LogLevel level, const std::string& text) { logger().message(level, text); }
void set_log_level(LogLevel level) { logger().set_level(level); }
void attach_log_file(const std::filesystem::path& path) { logger().attach(path); }
void detach_log_file() { logger().detach(); }

Progress::Progress(std::string what, int64_t total, int64_t done, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      drawn_(start_) {}

Progress::~Progress() { finish(); }

void Progress::advance(int64_t steps, const std::string& note) {
  done_ += steps;
  note_ = note;
  if (seconds_since(drawn_) >= (terminal_ ? kRedrawSeconds : kPlainSeconds)) draw(false);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  draw(true);
}

void Progress::draw(bool last) {
  drawn_ = std::chrono::steady_clock::now();
  const double elapsed = seconds_since(start_);
  const double rate = elapsed > 0 ? static_cast<double>(done_ - first_) / elapsed : 0.0;
  std::string line = what_ + ": ";
  if (total_ > 0) {
    line += fmt::format("{}/{} ({}%)", done_, total_, 100 * done_ / total_);
  } else {
    line += std::to_string(done_);
  }
  line += rate == 0 || rate >= 1 ? fmt::format(", {:.3g} {}/s", rate, unit_) : fmt::format(", {:.3g} s/{}", 1 / rate, unit_);
  line += ", " + clock_text(elapsed);
  if (!last && total_ > done_ && rate > 0) line += " + " + clock_text(static_cast<double>(total_ - done_) / rate) + " left";
  if (!note_.empty()) line += ", " + note_;
  if (!terminal_) return logger().progress(line, true);
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && line.size() >= size.ws_col) line.resize(size.ws_col - 1U);
  logger().progress(line, last);
}

}  // namespace lpnsr
