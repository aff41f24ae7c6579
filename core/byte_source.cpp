#include "core/byte_source.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr uint64_t buffer_size = 64 * 1024;

class FileSource : public ByteSource {
 public:
  FileSource(const std::filesystem::path& path, FileAccess access)
      : ByteSource(path.string()), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) throw Error(fmt::format("{}: cannot be opened: {}", name(), std::strerror(errno)));
    struct stat status {};
    const bool known = ::fstat(file_, &status) == 0;
    if (known && S_ISREG(status.st_mode) && status.st_size > 0) {
      size_ = static_cast<uint64_t>(status.st_size);
      if (access == FileAccess::mapped) map();
      return;
    }
    ::close(file_);
    fail(known && S_ISREG(status.st_mode) ? "the file is empty" : "is not a file");
  }
  ~FileSource() override { ::close(file_); }
  uint64_t size() const override { return size_; }

 private:
  void map() {
    void* begin = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_, 0);
    if (begin == MAP_FAILED) return;  // a file system that cannot: the bytes are copied
    ::madvise(begin, size_, MADV_WILLNEED);
    mapping_ = {static_cast<char*>(begin), [size = size_](char* bytes) { ::munmap(bytes, size); }};
  }
  std::shared_ptr<char> mapping() const override { return mapping_; }
  void read_inside(uint64_t offset, char* to, uint64_t count) const override {
    while (count > 0) {
      const ssize_t got = ::pread(file_, to, count, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(fmt::format("{}: cannot be read at byte {}: {}", name(), offset, std::strerror(errno)));
      if (got == 0) fail(fmt::format("became shorter while it was read (at byte {})", offset));
      to += got;
      offset += static_cast<uint64_t>(got);
      count -= static_cast<uint64_t>(got);
    }
  }
  int file_;
  uint64_t size_ = 0;
  std::shared_ptr<char> mapping_;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::string_view bytes, std::string name) : ByteSource(std::move(name)), bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }

 private:
  void read_inside(uint64_t offset, char* to, uint64_t count) const override { std::memcpy(to, bytes_.data() + offset, count); }
  std::string_view bytes_;
};

uint64_t from_little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

void ByteSource::fail(const std::string& what) const { throw DataError(name_ + ": " + what); }

void ByteSource::check_range(uint64_t offset, uint64_t count) const {
  if (offset > size() || count > size() - offset) {
    fail(fmt::format("ends too early: {} bytes are needed from byte {} on, but it has only {} (truncated?)", count, offset, size()));
  }
}

void ByteSource::read(uint64_t offset, void* to, uint64_t count) const {
  check_range(offset, count);
  if (count > 0) read_inside(offset, static_cast<char*>(to), count);
}

std::shared_ptr<void> ByteSource::mapped(uint64_t offset, uint64_t count) const {
  check_range(offset, count);
  const auto whole = mapping();
  return whole ? std::shared_ptr<void>(whole, whole.get() + offset) : nullptr;
}

std::string ByteSource::read_text(uint64_t offset, uint64_t count) const {
  std::string text;
  if (count <= size()) text.resize(count);  // a larger count fails in read() before anything is allocated
  read(offset, text.data(), count);
  return text;
}

uint64_t ByteSource::read_little_endian(uint64_t offset, int bytes) const {
  return from_little_endian(read_text(offset, static_cast<uint64_t>(bytes)));
}

std::unique_ptr<ByteSource> open_file(const std::filesystem::path& path, FileAccess access) {
  return std::make_unique<FileSource>(path, access);
}

std::unique_ptr<ByteSource> memory_source(std::string_view bytes, std::string name) {
  return std::make_unique<MemorySource>(bytes, std::move(name));
}

uint8_t ByteCursor::byte() {
  if (position_ < buffer_start_ || position_ >= buffer_start_ + buffer_.size()) {
    const uint64_t left = position_ < source_.size() ? source_.size() - position_ : 0;
    buffer_ = source_.read_text(position_, std::clamp<uint64_t>(left, 1, buffer_size));
    buffer_start_ = position_;
  }
  return static_cast<uint8_t>(buffer_[position_++ - buffer_start_]);
}

std::string ByteCursor::text(uint64_t count) {
  std::string text;
  if (count < 32) {
    while (text.size() < count) text.push_back(static_cast<char>(byte()));
    return text;
  }
  text = source_.read_text(position_, count);
  position_ += count;
  return text;
}

uint64_t ByteCursor::little_endian(int bytes) { return from_little_endian(text(static_cast<uint64_t>(bytes))); }

double ByteCursor::big_endian_double() {
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits = bits << 8 | byte();
  return std::bit_cast<double>(bits);
}

std::string ByteCursor::line(uint64_t longest) {
  std::string line;
  for (char c = static_cast<char>(byte()); c != '\n'; c = static_cast<char>(byte())) {
    if (line.size() == longest) source_.fail(fmt::format("a line of more than {} characters at byte {}", longest, position_));
    line.push_back(c);
  }
  return line;
}

}  // namespace lpnsr
