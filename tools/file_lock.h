#pragma once
// A lock between processes, given back by the system when its holder ends in whatever way.
#include <filesystem>

namespace lpnsr {

class FileLock {
 public:
  // Tries once. Throws Error where the file cannot be opened. `shared_with_children`: the programs that are started meanwhile hold the lock
  // as well, so that it lasts where they outlive this one.
  explicit FileLock(const std::filesystem::path& file, bool shared_with_children = false);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool held() const { return held_; }

 private:
  int descriptor_ = -1;
  bool held_ = false;
};

}  // namespace lpnsr
