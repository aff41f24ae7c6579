#include "tools/fetch.h"

#include <cerrno>
#include <cstring>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace lpnsr {
namespace {

constexpr int kNoSuchProgram = 127;

// By the exit status. An HTTP error may be that of a range behind the file's end (416) or any other: neither program tells.
bool refuses_to_resume(const std::string& program, int status) {
  if (program == "wget") return status == 8;
  constexpr int kHttpError = 22, kNoRanges = 33, kBehindTheEnd = 36;
  return status == kHttpError || status == kNoRanges || status == kBehindTheEnd;
}

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
  const bool resumed = std::filesystem::exists(file) && std::filesystem::file_size(file) > 0;
  std::string program = "curl";
  int status = run_and_wait({"curl", "--fail", "--location", "--retry", "3", "--continue-at", "-", "--output", file.string(), address});
  if (status == kNoSuchProgram) {
    program = "wget";
    status = run_and_wait({"wget", "--continue", "--output-document=" + file.string(), address});
  }
  if (status == kNoSuchProgram)
    throw Error("neither curl nor wget is installed: fetch the file by hand and lay it into the weights folder");
  if (resumed && refuses_to_resume(program, status))
    throw CannotResume(
        fmt::format("{} does not go on from where {} ends: {} ended with status {}", address, file.string(), program, status));
  if (status != 0) {
    throw Error(fmt::format("{} could not be fetched: {} ended with status {}. The same command goes on where it stopped", address, program,
                            status));
  }
}

}  // namespace lpnsr
