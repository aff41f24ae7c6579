#include "tools/fetch.h"

#include <cerrno>
#include <cstring>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr int kNoSuchProgram = 127;

// Exit status of a program found in $PATH; 127 where there is none of that name.
int run_and_wait(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // What the program prints is no result of ours: its stdout is our stderr.
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_adddup2(&streams, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int code = posix_spawnp(&child, argv[0], &streams, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&streams);
  if (code == ENOENT) return kNoSuchProgram;
  if (code != 0) throw Error(fmt::format("{} cannot be started: {}", words[0], std::strerror(code)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

void fetch_file(const std::string& address, const std::filesystem::path& file) {
  if (address.starts_with('-')) throw Error(fmt::format("'{}' is no address", address));
  constexpr int kCurlCannotResume = 33;
  const std::vector<std::string> curl = {"curl",          "--fail", "--location", "--retry",     "3",
                                         "--continue-at", "-",      "--output",   file.string(), address};
  std::string program = "curl";
  int status = run_and_wait(curl);
  if (status == kCurlCannotResume && std::filesystem::remove(file)) status = run_and_wait(curl);
  if (status == kNoSuchProgram) {
    program = "wget";
    status = run_and_wait({"wget", "--continue", "--output-document=" + file.string(), address});
  }
  if (status == kNoSuchProgram)
    throw Error("neither curl nor wget is installed: fetch the file by hand and lay it into the weights folder");
  if (status != 0) {
    throw Error(fmt::format("{} could not be fetched: {} ended with status {}. The same command goes on where it stopped", address, program,
                            status));
  }
}

}  // namespace lpnsr
