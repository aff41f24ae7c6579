#include "tools/file_lock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {

FileLock::FileLock(const std::filesystem::path& file, bool shared_with_children)
    : descriptor_(open(file.c_str(), O_RDWR | O_CREAT | (shared_with_children ? 0 : O_CLOEXEC), 0666)) {
  if (descriptor_ < 0) throw Error(fmt::format("{}: cannot be opened: {}", file.string(), std::strerror(errno)));
  // A file system without locks (some network ones) lets everybody in: work may then be done twice, never wrongly.
  held_ = flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR);
}

FileLock::~FileLock() { close(descriptor_); }

}  // namespace lpnsr
