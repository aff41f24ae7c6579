#include "core/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <random>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::string reason(int code) { return std::strerror(code); }

// A stream buffer over a file descriptor that remembers why a write failed, which std::ofstream does not.
class DescriptorBuffer final : public std::streambuf {
 public:
  explicit DescriptorBuffer(int descriptor) : descriptor_(descriptor), space_(size_t{1} << 20) {
    setp(space_.data(), space_.data() + space_.size());
  }
  int error() const { return error_; }

 protected:
  int_type overflow(int_type character) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(character, traits_type::eof())) sputc(traits_type::to_char_type(character));
    return traits_type::not_eof(character);
  }

  int sync() override {
    const char* next = pbase();
    while (next < pptr() && error_ == 0) {
      const ssize_t count = ::write(descriptor_, next, static_cast<size_t>(pptr() - next));
      if (count >= 0) {
        next += count;
        written_ += count;
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    setp(space_.data(), space_.data() + space_.size());
    return error_ == 0 ? 0 : -1;
  }

  // tellp() alone: writers want to know how far they are.
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode /*which*/) override {
    return offset == 0 && from == std::ios_base::cur ? pos_type(written_ + (pptr() - pbase())) : pos_type(off_type(-1));
  }

 private:
  int descriptor_, error_ = 0;
  off_type written_ = 0;
  std::vector<char> space_;
};

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : value_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  bool open() const { return value_ >= 0; }

 private:
  int value_;
};

[[noreturn]] void refuse_to_write(const fs::path& path, const std::string& why) {
  throw Error(fmt::format("{}: cannot be written: {}", path.string(), why));
}

// Calls `write` on a stream over the descriptor; 0 or the code of what went wrong.
int write_through(int descriptor, const std::function<void(std::ostream&)>& write) {
  DescriptorBuffer buffer(descriptor);
  std::ostream stream(&buffer);
  write(stream);
  stream.flush();
  return stream.good() ? 0 : buffer.error() != 0 ? buffer.error() : EIO;
}

// Devices and pipes (/dev/null, /dev/stdout) are written into: renaming over them would replace them.
void write_in_place(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  Descriptor file(path, O_WRONLY);
  if (!file.open()) refuse_to_write(path, reason(errno));
  if (const int code = write_through(file.get(), write); code != 0) refuse_to_write(path, reason(code));
}

constexpr std::string_view kPartial = ".partial";

bool has_image_extension(const fs::path& path) {
  return std::find(kImageExtensions.begin(), kImageExtensions.end(), lower_case_extension(path)) != kImageExtensions.end();
}

using FolderIdentity = std::pair<dev_t, ino_t>;

// `ancestors` holds the folders that lead here: a link back to one of them would go round for ever.
void collect_images(const fs::path& folder, bool recursive, std::vector<FolderIdentity>& ancestors, std::vector<fs::path>& images) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) throw Error(fmt::format("{}: cannot be read: {}", folder.string(), reason(errno)));
  const FolderIdentity identity{status.st_dev, status.st_ino};
  if (std::find(ancestors.begin(), ancestors.end(), identity) != ancestors.end()) return;
  ancestors.push_back(identity);
  std::error_code code;
  fs::directory_iterator entry(folder, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    std::error_code ignored;
    const fs::file_type type = entry->status(ignored).type();
    if (type == fs::file_type::directory) {
      if (recursive) collect_images(entry->path(), recursive, ancestors, images);
    } else if ((type == fs::file_type::regular || type == fs::file_type::not_found) && has_image_extension(entry->path())) {
      images.push_back(entry->path());  // a broken link too: its reader says so, instead of nobody
    }
  }
  if (code) throw Error(fmt::format("{}: cannot be read: {}", folder.string(), code.message()));
  ancestors.pop_back();
}

}  // namespace

// Drawn at random: a process's number comes round again after a kill (in a container it is always 1) and is another's on a node that shares
// the file system. The system's source is asked each time, since what a program keeps of it is the same in its forks.
fs::path partial_name_for(const fs::path& target) {
  std::random_device random;
  return target.parent_path() / fmt::format(".lpnsr-{:08x}{:08x}{}", random(), random(), kPartial);
}

PartialFile::PartialFile(fs::path target) : target_(std::move(target)), replaced_(target_) {
  std::error_code ignored;
  if (fs::is_regular_file(target_, ignored)) replaced_ = fs::canonical(target_, ignored);
  constexpr int kAttempts = 100;  // two that meet are unheard of; a source of random numbers that is broken must not hang the program
  for (int attempt = 0; attempt < kAttempts && descriptor_ < 0; ++attempt) {
    path_ = partial_name_for(replaced_);
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ >= 0) return;
  refuse_to_write(target_, errno == ENOENT ? fmt::format("there is no folder '{}'", folder_of(replaced_).string()) : reason(errno));
}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void PartialFile::write(const std::function<void(std::ostream&)>& write) {
  if (const int code = write_through(descriptor_, write); code != 0) refuse_to_write(target_, reason(code));
}

void PartialFile::keep() {
  // Network file systems report a full disk when a file is closed.
  if (::fsync(descriptor_) != 0 || ::close(std::exchange(descriptor_, -1)) != 0 || ::rename(path_.c_str(), replaced_.c_str()) != 0)
    refuse_to_write(target_, reason(errno));
  path_.clear();
  // The new name itself must survive a power failure. Not every file system can promise that for a folder, so failure is no fault.
  const Descriptor folder(folder_of(replaced_), O_RDONLY | O_DIRECTORY);
  if (folder.open()) ::fsync(folder.get());
}

void write_file_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  std::error_code ignored;
  const fs::file_type type = fs::status(path, ignored).type();
  if (type == fs::file_type::directory) refuse_to_write(path, "it is a folder");
  if (type == fs::file_type::character || type == fs::file_type::fifo || type == fs::file_type::block) return write_in_place(path, write);
  PartialFile file(path);
  file.write(write);
  file.keep();
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, [&](std::ostream& stream) { stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); });
}

void remove_partial_files(const fs::path& folder) {
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.ends_with(kPartial)) fs::remove(entry.path(), code);
  }
}

std::string read_file(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw Error(fmt::format("{}: is a folder, not a file", path.string()));
  const Descriptor file(path, O_RDONLY);
  if (!file.open()) throw Error(fmt::format("{}: cannot be read: {}", path.string(), reason(errno)));
  struct stat status {};
  std::string bytes(::fstat(file.get(), &status) == 0 && status.st_size > 0 ? static_cast<size_t>(status.st_size) + 1 : size_t{1} << 16,
                    '\0');
  size_t filled = 0;
  while (true) {  // until the end, whatever size the system stated: pipes and /proc state 0
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(fmt::format("{}: cannot be read: {}", path.string(), reason(errno)));
    if (count == 0) break;
    filled += static_cast<size_t>(count);
    if (filled == bytes.size()) bytes.resize(2 * bytes.size());
  }
  bytes.resize(filled);
  return bytes;
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

void make_output_folder(const fs::path& path) {
  if (path.empty()) throw Error("the output folder's name is empty");
  std::error_code code;
  fs::path existing = path;  // the deepest part that is there already
  while (existing.has_relative_path() && fs::symlink_status(existing, code).type() == fs::file_type::not_found)
    existing = existing.parent_path();
  if (!existing.empty() && fs::exists(existing, code) && !fs::is_directory(existing, code)) {
    throw Error(fmt::format("{}: cannot be the output folder: '{}' is a file", path.string(), existing.string()));
  }
  code.clear();
  fs::create_directories(path, code);
  if (code) throw Error(fmt::format("{}: the output folder cannot be created: {}", path.string(), code.message()));
  if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    throw Error(fmt::format("{}: the output folder cannot be written to: {}", path.string(), reason(errno)));
}

void make_folder_of(const fs::path& file) {
  if (file.empty()) return;
  std::error_code code;
  if (fs::is_directory(file, code) || !file.has_filename())
    throw Error(fmt::format("{}: cannot be written: it is a folder", file.string()));
  make_output_folder(folder_of(file));
}

std::string lower_case_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

std::vector<fs::path> list_images(const fs::path& folder, bool recursive) {
  std::error_code code;
  const fs::file_status status = fs::status(folder, code);
  if (!fs::exists(status)) {
    throw Error(
        fmt::format("{}: {}", folder.string(), code && code.value() != ENOENT ? code.message() : "there is no such file or folder"));
  }
  if (!fs::is_directory(status)) return {folder};
  std::vector<fs::path> images;
  std::vector<FolderIdentity> ancestors;
  collect_images(folder, recursive, ancestors, images);
  std::sort(images.begin(), images.end());
  return images;
}

}  // namespace lpnsr
