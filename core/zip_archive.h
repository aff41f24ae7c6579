#pragma once
// Zip archives (PyTorch's, NumPy's .npz): stored and deflated entries, zip64, checked against their CRC-32.
#include <cstdint>
#include <map>
#include <string>

#include "core/byte_source.h"

namespace lpnsr {

struct ZipEntry {
  uint64_t size = 0;
  uint64_t compressed_size = 0;
  uint64_t header = 0;  // of the entry's local header
  uint64_t data = 0;    // of its first (compressed) byte
  uint32_t crc = 0;
  uint16_t method = 0;
};

class ZipArchive {
 public:
  static bool looks_like_zip(const ByteSource& source);
  // Reads the directory; the source must outlive the archive. Throws DataError: no directory (truncated), encrypted, several volumes,
  // unknown compression, entries outside the file or over one another, sizes that no compression gives.
  explicit ZipArchive(const ByteSource& source);

  const std::map<std::string, ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(const std::string& name) const;
  // Writes entry.size bytes to `to`. Throws DataError where the bytes are not those that were written (CRC-32).
  void read(const std::string& name, const ZipEntry& entry, void* to) const;
  // The bytes where they lie, checked likewise; null where the entry is compressed or the source has none (ByteSource::mapped).
  std::shared_ptr<void> mapped(const std::string& name, const ZipEntry& entry) const;
  std::string read_text(const std::string& name, const ZipEntry& entry) const;

 private:
  void read_directory(uint64_t offset, uint64_t size, uint64_t count);
  void locate_data();
  void check(const std::string& name, const ZipEntry& entry, const void* bytes) const;
  const ByteSource& source_;
  std::map<std::string, ZipEntry> entries_;
};

}  // namespace lpnsr
