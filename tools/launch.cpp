#include "tools/launch.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "trainers/signals.h"

namespace lpnsr {
namespace {

// A port of this machine that is bound already, so that no other program can take it before rank 0 listens.
struct BoundPort {
  int socket = -1;
  uint16_t port = 0;
};

BoundPort bind_port() {
  BoundPort bound{::socket(AF_INET, SOCK_STREAM, 0), 0};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (bound.socket < 0 || bind(bound.socket, any, size) != 0 || listen(bound.socket, 1024) != 0 ||
      getsockname(bound.socket, any, &size) != 0) {
    throw Error(fmt::format("--processes: no port of this machine can be opened: {}", std::strerror(errno)));
  }
  bound.port = ntohs(address.sin_port);
  return bound;
}

pid_t start(int64_t rank, int64_t count, const BoundPort& bound, const Arguments& arguments) {
  const pid_t parent = getpid(), child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // no rank outlives its starter
  if (getppid() != parent) _exit(1);
  const auto set = [](const char* name, const std::string& value) { setenv(name, value.c_str(), 1); };
  set("RANK", std::to_string(rank));
  set("LOCAL_RANK", std::to_string(rank));
  set("WORLD_SIZE", std::to_string(count));
  set("MASTER_ADDR", "127.0.0.1");
  set("MASTER_PORT", std::to_string(bound.port));
  if (rank == 0) {
    set("LPNSR_LISTENING_SOCKET", std::to_string(bound.socket));
  } else {
    close(bound.socket);
  }
  // The cores are shared out, unless somebody has said otherwise.
  const auto cores = static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  setenv("OMP_NUM_THREADS", std::to_string(std::max<int64_t>(1, cores / count)).c_str(), 0);
  std::vector<char*> words{const_cast<char*>("lpnsr")};
  for (const auto& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execv("/proc/self/exe", words.data());
  _exit(127);
}

}  // namespace

int launch(int64_t processes, const Arguments& arguments) {
  const BoundPort bound = bind_port();
  // To be passed on to the ranks. Afterwards signals mean again what they meant: who started the ranks must be stoppable at what follows.
  const SignalScope signals(SignalScope::Second::is_noted);

  std::vector<pid_t> ranks;
  for (int64_t rank = 0; rank < processes; ++rank) {
    const pid_t child = start(rank, processes, bound, arguments);
    if (child < 0) {
      for (const pid_t other : ranks) kill(other, SIGKILL);
      throw Error(fmt::format("--processes {}: process {} could not be started: {}", processes, rank, std::strerror(errno)));
    }
    ranks.push_back(child);
  }
  close(bound.socket);

  constexpr auto kGrace = std::chrono::seconds(10);
  const auto tell_all = [&ranks](int signal) {
    for (const pid_t rank : ranks) {
      if (rank > 0) kill(rank, signal);
    }
  };
  std::optional<std::chrono::steady_clock::time_point> failed_at;
  int status = 0;
  for (int64_t running = processes; running > 0;) {
    int ended = 0;
    const pid_t child = waitpid(-1, &ended, WNOHANG);
    if (child > 0) {
      --running;
      const auto rank = std::find(ranks.begin(), ranks.end(), child);
      if (rank != ranks.end()) *rank = -1;
      const int its_status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
      if (its_status != 0 && status == 0) {
        status = its_status;
        failed_at = std::chrono::steady_clock::now();
        if (WIFSIGNALED(ended)) log_warning("rank {} was killed by signal {}; the others end too", rank - ranks.begin(), WTERMSIG(ended));
      }
      continue;
    }
    if (const int signal = SignalScope::take(); signal != 0) tell_all(signal);
    // The others notice the loss themselves and say so; what does not end by then never will.
    if (failed_at && std::chrono::steady_clock::now() > *failed_at + kGrace) tell_all(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  // One that came after the last rank had ended reached none of them.
  const int unheard = SignalScope::received();
  return unheard != 0 ? 128 + unheard : status;
}

}  // namespace lpnsr
