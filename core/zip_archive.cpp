#include "core/zip_archive.h"

#include <vector>
#include <zlib.h>

#include <fmt/format.h>

namespace lpnsr {
namespace {

// PKWARE's APPNOTE: signatures, fixed lengths and the values that send the reader to the zip64 fields.
constexpr uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50, end_signature = 0x06054b50;
constexpr uint32_t end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr uint64_t local_length = 30, central_length = 46, end_length = 22, locator64_length = 20, end64_length = 56;
constexpr uint64_t longest_comment = 0xffff;
constexpr uint32_t in_zip64 = 0xffffffff;
constexpr uint16_t stored = 0, deflated = 8;
constexpr uint64_t largest_deflate_ratio = 1040;  // 258 bytes from two bits, rounded up
constexpr uint64_t chunk_size = uint64_t{1} << 18;

uint64_t number(std::string_view bytes, size_t offset, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

// The zip64 extra field holds, in this order, those of the three values that the fixed fields could not.
void apply_zip64(const ByteSource& source, std::string_view extra, ZipEntry& entry) {
  size_t at = 0;
  while (at + 4 <= extra.size()) {
    const uint64_t id = number(extra, at, 2), length = number(extra, at + 2, 2);
    at += 4;
    if (length > extra.size() - at) return;
    if (id == 1) {
      size_t field = at;
      for (uint64_t* value : {&entry.size, &entry.compressed_size, &entry.header}) {
        if (*value != in_zip64) continue;
        if (field + 8 > at + length) source.fail("a zip64 field of the archive is too short");
        *value = number(extra, field, 8);
        field += 8;
      }
      return;
    }
    at += length;
  }
}

class Inflater {
 public:
  explicit Inflater(const ByteSource& source) : source_(source) {
    if (inflateInit2(&stream_, -MAX_WBITS) != Z_OK) source.fail("no memory to decompress");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // False where the data are damaged or of another length.
  bool run(const ZipEntry& entry, unsigned char* to) {
    std::string input;
    uint64_t taken = 0, made = 0;
    int state = Z_OK;
    unsigned char beyond = 0;  // room for the end marker after the last byte, and proof that nothing follows
    while (state == Z_OK) {
      if (stream_.avail_in == 0) {
        if (taken == entry.compressed_size) return false;
        input = source_.read_text(entry.data + taken, std::min(chunk_size, entry.compressed_size - taken));
        taken += input.size();
        stream_.next_in = reinterpret_cast<unsigned char*>(input.data());
        stream_.avail_in = static_cast<unsigned>(input.size());
      }
      const uint64_t room = std::min(chunk_size, entry.size - made);
      stream_.next_out = room > 0 ? to + made : &beyond;
      stream_.avail_out = room > 0 ? static_cast<unsigned>(room) : 1;
      const unsigned before = stream_.avail_out;
      state = inflate(&stream_, Z_NO_FLUSH);
      const unsigned produced = before - stream_.avail_out;
      if (room == 0 && produced > 0) return false;
      made += produced;
    }
    return state == Z_STREAM_END && made == entry.size;
  }

 private:
  const ByteSource& source_;
  z_stream stream_{};
};

}  // namespace

bool ZipArchive::looks_like_zip(const ByteSource& source) {
  return source.size() >= 4 && source.read_little_endian(0, 4) == local_signature;
}

ZipArchive::ZipArchive(const ByteSource& source) : source_(source) {
  const uint64_t searched = std::min(source.size(), longest_comment + end_length);
  const std::string tail = source.read_text(source.size() - searched, searched);
  for (size_t at = searched < end_length ? 0 : searched - end_length + 1; at-- > 0;) {
    if (number(tail, at, 4) != end_signature || number(tail, at + 20, 2) != searched - end_length - at) continue;
    const uint64_t end = source.size() - searched + at;
    if (number(tail, at + 4, 2) != number(tail, at + 6, 2)) source.fail("the archive is one of several volumes");
    uint64_t count = number(tail, at + 10, 2), size = number(tail, at + 12, 4), offset = number(tail, at + 16, 4);
    if (end >= locator64_length && source.read_little_endian(end - locator64_length, 4) == locator64_signature) {
      const uint64_t end64 = source.read_little_endian(end - locator64_length + 8, 8);
      const std::string record = source.read_text(end64, end64_length);
      if (number(record, 0, 4) != end64_signature) source.fail("the archive's zip64 end record is damaged");
      count = number(record, 32, 8);
      size = number(record, 40, 8);
      offset = number(record, 48, 8);
    }
    read_directory(offset, size, count);
    locate_data();
    return;
  }
  source.fail("the archive has no directory at its end: the file is truncated (an interrupted download?)");
}

void ZipArchive::read_directory(uint64_t offset, uint64_t size, uint64_t count) {
  const std::string directory = source_.read_text(offset, size);
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (at + central_length > directory.size() || number(directory, at, 4) != central_signature)
      source_.fail("the archive's directory is damaged");
    ZipEntry entry;
    const uint64_t flags = number(directory, at + 8, 2);
    entry.method = static_cast<uint16_t>(number(directory, at + 10, 2));
    entry.crc = static_cast<uint32_t>(number(directory, at + 16, 4));
    entry.compressed_size = number(directory, at + 20, 4);
    entry.size = number(directory, at + 24, 4);
    entry.header = number(directory, at + 42, 4);
    const size_t name_length = number(directory, at + 28, 2), extra_length = number(directory, at + 30, 2),
                 comment_length = number(directory, at + 32, 2);
    at += central_length;
    if (name_length + extra_length + comment_length > directory.size() - at) source_.fail("the archive's directory is damaged");
    std::string name = directory.substr(at, name_length);
    apply_zip64(source_, std::string_view(directory).substr(at + name_length, extra_length), entry);
    at += name_length + extra_length + comment_length;
    if (flags & 1) source_.fail(fmt::format("'{}' of the archive is encrypted", name));
    if (entry.method != stored && entry.method != deflated) {
      source_.fail(
          fmt::format("'{}' of the archive is compressed by method {}; stored and deflated entries can be read", name, entry.method));
    }
    const bool possible =
        entry.method == stored ? entry.size == entry.compressed_size : entry.size / largest_deflate_ratio <= entry.compressed_size;
    if (!possible) source_.fail(fmt::format("'{}' of the archive cannot have {} bytes from {}", name, entry.size, entry.compressed_size));
    if (!entries_.emplace(name, entry).second) source_.fail(fmt::format("the archive has '{}' twice", name));
  }
}

void ZipArchive::locate_data() {
  std::vector<std::pair<const std::string*, ZipEntry*>> order;
  for (auto& [name, entry] : entries_) order.emplace_back(&name, &entry);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second->header < b.second->header; });
  uint64_t covered = 0;
  for (const auto& [name, entry] : order) {
    // Entries over one another would let a small file grow without bound.
    if (entry->header < covered) source_.fail(fmt::format("'{}' of the archive overlaps another entry", *name));
    const std::string local = source_.read_text(entry->header, local_length);
    if (number(local, 0, 4) != local_signature) source_.fail(fmt::format("'{}' of the archive has no header", *name));
    entry->data = entry->header + local_length + number(local, 26, 2) + number(local, 28, 2);
    if (entry->data > source_.size() || entry->compressed_size > source_.size() - entry->data) {
      source_.fail(fmt::format("'{}' of the archive reaches past the end of the file (truncated?)", *name));
    }
    covered = entry->data + entry->compressed_size;
  }
}

const ZipEntry* ZipArchive::find(const std::string& name) const {
  const auto place = entries_.find(name);
  return place == entries_.end() ? nullptr : &place->second;
}

void ZipArchive::read(const std::string& name, const ZipEntry& entry, void* to) const {
  if (entry.method == stored) {
    source_.read(entry.data, to, entry.size);
  } else if (!Inflater(source_).run(entry, static_cast<unsigned char*>(to))) {
    source_.fail(fmt::format("'{}' of the archive cannot be decompressed: the file is damaged", name));
  }
  check(name, entry, to);
}

std::shared_ptr<void> ZipArchive::mapped(const std::string& name, const ZipEntry& entry) const {
  if (entry.method != stored) return nullptr;
  auto bytes = source_.mapped(entry.data, entry.size);
  if (bytes) check(name, entry, bytes.get());
  return bytes;
}

void ZipArchive::check(const std::string& name, const ZipEntry& entry, const void* bytes) const {
  if (crc32_z(0, static_cast<const unsigned char*>(bytes), entry.size) != entry.crc) {
    source_.fail(fmt::format("'{}' of the archive is damaged: its CRC-32 is not the one that was written", name));
  }
}

std::string ZipArchive::read_text(const std::string& name, const ZipEntry& entry) const {
  std::string text(entry.size, '\0');
  read(name, entry, text.data());
  return text;
}

}  // namespace lpnsr
