#pragma once
// Another program that does one piece of work for each line it is sent.
#include <string>
#include <sys/types.h>

namespace lpnsr {

class ChildProcess {
 public:
  // Starts `command` with the shell and waits for the first line it prints, which says that it is ready. Throws Error where it ends first.
  explicit ChildProcess(const std::string& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Sends an empty line and returns the line that answers it. Throws Error where the child has ended.
  std::string ask();

 private:
  std::string read_line();
  std::string command_;
  int to_ = -1, from_ = -1;
  pid_t child_ = -1;
};

}  // namespace lpnsr
