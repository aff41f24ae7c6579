#pragma once
// Random access to the bytes of a file or of memory, for readers of formats; nothing is read twice and nothing past the end.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace lpnsr {

class ByteSource {
 public:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }
  virtual uint64_t size() const = 0;
  // Throws DataError where the range is not inside the source.
  void read(uint64_t offset, void* to, uint64_t count) const;
  std::string read_text(uint64_t offset, uint64_t count) const;
  uint64_t read_little_endian(uint64_t offset, int bytes) const;
  // The bytes where they lie, for as long as the result lives; who writes to them changes a copy. Null where the source was not opened for
  // this. Throws as read() does.
  std::shared_ptr<void> mapped(uint64_t offset, uint64_t count) const;
  [[noreturn]] void fail(const std::string& what) const;  // DataError "NAME: WHAT"

 private:
  virtual std::shared_ptr<char> mapping() const { return nullptr; }
  void check_range(uint64_t offset, uint64_t count) const;
  virtual void read_inside(uint64_t offset, char* to, uint64_t count) const = 0;
  std::string name_;
};

// mapped: without a copy, for what is used up at once. A file that becomes shorter meanwhile then ends the program.
enum class FileAccess { copied, mapped };
// Throws Error where the file cannot be opened, DataError where it is empty or no file.
std::unique_ptr<ByteSource> open_file(const std::filesystem::path& path, FileAccess access = FileAccess::copied);
// Keeps a view: the bytes must outlive the source.
std::unique_ptr<ByteSource> memory_source(std::string_view bytes, std::string name);

// Reads a source forwards through a small buffer.
class ByteCursor {
 public:
  ByteCursor(const ByteSource& source, uint64_t offset) : source_(source), position_(offset) {}
  uint64_t position() const { return position_; }
  uint8_t byte();
  std::string text(uint64_t count);
  uint64_t little_endian(int bytes);
  double big_endian_double();
  std::string line(uint64_t longest);  // up to, without, the next line feed, which is consumed

 private:
  const ByteSource& source_;
  uint64_t position_;
  std::string buffer_;
  uint64_t buffer_start_ = 0;
};

}  // namespace lpnsr
