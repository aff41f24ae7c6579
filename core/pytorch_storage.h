#pragma once
// The storages of a torch.save file: flat runs of numbers which its tensors are views of.
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/byte_source.h"
#include "core/pickle.h"
#include "core/zip_archive.h"

namespace lpnsr {

struct StorageInfo {
  std::string key;
  c10::ScalarType type = c10::ScalarType::Undefined;  // Byte where the file says UntypedStorage
  bool untyped = false;
  int64_t count = 0;        // of elements
  int64_t view_offset = 0;  // a view of the storage, in very old files
  int64_t view_count = -1;  // -1: the whole
};

// From the persistent identifier ('storage', type, key, location, count[, view]). Throws DataError where it is not one.
StorageInfo storage_info(const ByteSource& source, const PickleTree& tree, PickleId id);

// Reads each storage once, when it is first asked for: [count] of its type.
class StorageReader {
 public:
  virtual ~StorageReader() = default;
  at::Tensor get(const StorageInfo& info);

 private:
  virtual at::Tensor read(const StorageInfo& info) = 0;
  std::map<std::string, at::Tensor> loaded_;
};

// PREFIX/data/KEY of a zip archive.
std::unique_ptr<StorageReader> zip_storages(const ByteSource& source, const ZipArchive& archive, const std::string& prefix);
// The run after the pickles of a legacy file, which begins at `offset` with the first of `keys`. Checks at once that all of it is there.
std::unique_ptr<StorageReader> legacy_storages(const ByteSource& source, const PickleTree& tree, const PickleTree& keys, uint64_t offset);

}  // namespace lpnsr
