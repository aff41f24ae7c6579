#include "tools/fetch.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

constexpr int kNoSuchProgram = 127;

struct Ended {
  int status = 0;
  std::string out;  // of stdout
};

// Of a program found in $PATH; status 127 where there is none of that name.
Ended run_and_wait(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) throw Error(fmt::format("{} cannot be started: {}", words[0], std::strerror(errno)));
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_adddup2(&streams, pipe[1], STDOUT_FILENO);
  pid_t child = 0;
  const int code = posix_spawnp(&child, argv[0], &streams, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&streams);
  close(pipe[1]);
  Ended ended;
  std::array<char, 256> bytes{};
  ssize_t count = 0;
  do {
    count = read(pipe[0], bytes.data(), bytes.size());
    if (count > 0) ended.out.append(bytes.data(), static_cast<size_t>(count));
  } while (count > 0 || (count < 0 && errno == EINTR));
  close(pipe[0]);
  if (code == ENOENT) return {kNoSuchProgram, ""};
  if (code != 0) throw Error(fmt::format("{} cannot be started: {}", words[0], std::strerror(code)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  return ended;
}

uintmax_t size_of(const fs::path& file) {
  std::error_code absent;
  const uintmax_t size = fs::file_size(file, absent);
  return absent ? 0 : size;
}

// Whether what was there, not the transfer, is why a program ended like this: the range begins behind the file's end (416), or there are no
// ranges. Any other error of the other side, and a lost connection, may be gone at the next attempt.
bool refuses_to_resume(const std::string& program, const Ended& ended, bool grown) {
  if (program == "wget") return ended.status == 0 && !grown;  // it takes 416 for the end
  constexpr int kNoRanges = 33, kBehindTheEnd = 36;
  return ended.out == "416" || ended.status == kNoRanges || ended.status == kBehindTheEnd;
}

}  // namespace

void fetch_file(const std::string& address, const fs::path& file) {
  if (address.starts_with('-')) throw Error(fmt::format("'{}' is no address", address));
  const uintmax_t before = size_of(file);
  std::string program = "curl";
  Ended ended = run_and_wait({"curl", "--fail", "--location", "--retry", "3", "--continue-at", "-", "--write-out", "%{http_code}",
                              "--output", file.string(), address});
  if (ended.status == kNoSuchProgram) {
    program = "wget";
    ended = run_and_wait({"wget", "--continue", "--output-document=" + file.string(), address});
  }
  if (ended.status == kNoSuchProgram)
    throw Error("neither curl nor wget is installed: fetch the file by hand and lay it into the weights folder");
  if (before > 0 && refuses_to_resume(program, ended, size_of(file) > before))
    throw CannotResume(
        fmt::format("{} does not go on from where {} ends: {} ended with status {}", address, file.string(), program, ended.status));
  if (ended.status != 0) {
    throw Error(fmt::format("{} could not be fetched: {} ended with status {}. The same command goes on where it stopped", address, program,
                            ended.status));
  }
}

}  // namespace lpnsr
