#include "tools/child_process.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"

namespace lpnsr {

ChildProcess::ChildProcess(const std::string& command) : command_(command) {
  std::array<int, 2> in{}, out{};
  // Closed in every other child: one that held the writing end of another's input would keep that from ending.
  if (pipe2(in.data(), O_CLOEXEC) != 0) throw Error("no pipe to another program could be made");
  if (pipe2(out.data(), O_CLOEXEC) != 0) {
    close(in[0]);
    close(in[1]);
    throw Error("no pipe to another program could be made");
  }
  // Writing to a child that has ended is an error to report, not a signal to die of.
  std::signal(SIGPIPE, SIG_IGN);
  child_ = fork();
  if (child_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  to_ = in[1];
  from_ = out[0];
  if (child_ < 0) throw Error(command + ": could not be started");
  try {
    read_line();
  } catch (const Error&) {
    close(to_);
    close(from_);
    waitpid(child_, nullptr, 0);
    throw;
  }
}

ChildProcess::~ChildProcess() {
  // The end of its input tells the child to end.
  close(to_);
  close(from_);
  waitpid(child_, nullptr, 0);
}

std::string ChildProcess::ask() {
  if (write(to_, "\n", 1) != 1) throw Error(command_ + ": has ended");
  return read_line();
}

std::string ChildProcess::read_line() {
  std::string line;
  char byte = 0;
  while (true) {
    const ssize_t count = read(from_, &byte, 1);
    if (count <= 0) throw Error(command_ + ": ended without an answer" + (line.empty() ? "" : ": " + line));
    if (byte == '\n') return line;
    line += byte;
  }
}

}  // namespace lpnsr
