#include "tests/support/fixtures.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace lpnsr::testing {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "lpnsr-test-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

::testing::AssertionResult same_bytes(const std::filesystem::path& one, const std::filesystem::path& two) {
  for (const auto& path : {one, two}) {
    if (!std::filesystem::exists(path)) return ::testing::AssertionFailure() << path << " does not exist";
  }
  const std::string a = slurp(one), b = slurp(two);
  if (a == b) return ::testing::AssertionSuccess();
  const auto place = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  return ::testing::AssertionFailure() << one << " (" << a.size() << " bytes) and " << two << " (" << b.size() << " bytes) part at byte "
                                       << place;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

ProgramResult run_program(const std::vector<std::string>& arguments, int timeout_seconds) {
  const char* program = std::getenv("LPNSR_PROGRAM");
  if (program == nullptr) throw std::runtime_error("LPNSR_PROGRAM is not set: run the tests through ctest");
  const TemporaryFolder folder;
  const auto out = folder / "out", err = folder / "err";
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT, 0600), 1);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT, 0600), 2);
    std::vector<char*> argv{const_cast<char*>(program)};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(program, argv.data());
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_seconds);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, WNOHANG, &usage) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return {-1, slurp(out), slurp(err) + "\n(timed out)", 0.0};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err),
          static_cast<double>(usage.ru_maxrss) / 1024.0};
}

}  // namespace lpnsr::testing
