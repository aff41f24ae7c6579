#include "core/pytorch_storage.h"

#include <fmt/format.h>

#include "core/tensor_bytes.h"

namespace lpnsr {
namespace {

const std::map<std::string, c10::ScalarType>& storage_types() {
  static const std::map<std::string, c10::ScalarType> types = {{"torch.DoubleStorage", at::kDouble},
                                                               {"torch.FloatStorage", at::kFloat},
                                                               {"torch.HalfStorage", at::kHalf},
                                                               {"torch.BFloat16Storage", at::kBFloat16},
                                                               {"torch.LongStorage", at::kLong},
                                                               {"torch.IntStorage", at::kInt},
                                                               {"torch.ShortStorage", at::kShort},
                                                               {"torch.CharStorage", at::kChar},
                                                               {"torch.ByteStorage", at::kByte},
                                                               {"torch.BoolStorage", at::kBool},
                                                               {"torch.storage.UntypedStorage", at::kByte},
                                                               {"torch.UntypedStorage", at::kByte}};
  return types;
}

void check_count(const ByteSource& source, const StorageInfo& info) {
  if (!byte_count({info.count}, info.type)) source.fail(fmt::format("the storage '{}' has an impossible size of {}", info.key, info.count));
}

class ZipStorages : public StorageReader {
 public:
  ZipStorages(const ByteSource& source, const ZipArchive& archive, std::string prefix)
      : source_(source), archive_(archive), prefix_(std::move(prefix)) {}

 private:
  at::Tensor read(const StorageInfo& info) override {
    const std::string name = prefix_ + "data/" + info.key;
    const ZipEntry* entry = archive_.find(name);
    if (!entry) source_.fail(fmt::format("the archive has no '{}', which its tensors need", name));
    if (entry->size != *byte_count({info.count}, info.type)) {
      source_.fail(
          fmt::format("'{}' of the archive has {} bytes instead of {} elements of {}", name, entry->size, info.count, toString(info.type)));
    }
    const auto in_place = tensor_over_bytes({info.count}, info.type, archive_.mapped(name, *entry));
    if (in_place.defined()) return in_place;
    return tensor_of_bytes({info.count}, info.type, [&](void* to, uint64_t) { archive_.read(name, *entry, to); });
  }
  const ByteSource& source_;
  const ZipArchive& archive_;
  std::string prefix_;
};

class LegacyStorages : public StorageReader {
 public:
  LegacyStorages(const ByteSource& source, const PickleTree& tree, const PickleTree& keys, uint64_t offset) : source_(source) {
    std::map<std::string, StorageInfo> known;
    for (PickleId id = 0; id < tree.values().size(); ++id) {
      if (tree[id].kind != PickleKind::persistent) continue;
      StorageInfo info = storage_info(source, tree, id);
      known.emplace(info.key, info);
    }
    if (keys.root().kind != PickleKind::list) source.fail("the list of storages is damaged");
    for (const PickleId id : keys.root().items) {
      const auto found = known.find(keys[id].text);
      if (found == known.end()) source.fail(fmt::format("there is a storage '{}' that no tensor uses", keys[id].text));
      const StorageInfo& info = found->second;
      const auto written = static_cast<int64_t>(source.read_little_endian(offset, 8));
      if (written != info.count)
        source.fail(fmt::format("the storage '{}' has {} elements where {} are expected", info.key, written, info.count));
      offset += 8;
      const uint64_t bytes = *byte_count({info.count}, info.type);
      if (bytes > source.size() - offset) {
        source.fail(fmt::format("ends too early: the storage '{}' needs {} bytes from byte {} on, but the file has only {} (truncated?)",
                                info.key, bytes, offset, source.size()));
      }
      if (!offsets_.emplace(info.key, offset).second) source.fail(fmt::format("the storage '{}' comes twice", info.key));
      offset += bytes;
    }
  }

 private:
  at::Tensor read(const StorageInfo& info) override {
    const auto offset = offsets_.find(info.key);
    if (offset == offsets_.end()) source_.fail(fmt::format("the storage '{}' is not in the file", info.key));
    const auto in_place = tensor_over_bytes({info.count}, info.type, source_.mapped(offset->second, *byte_count({info.count}, info.type)));
    if (in_place.defined()) return in_place;
    return tensor_of_bytes({info.count}, info.type, [&](void* to, uint64_t count) { source_.read(offset->second, to, count); });
  }
  const ByteSource& source_;
  std::map<std::string, uint64_t> offsets_;
};

}  // namespace

StorageInfo storage_info(const ByteSource& source, const PickleTree& tree, PickleId id) {
  const auto refuse = [&]() { source.fail("a tensor's storage is described in a way that PyTorch does not write"); };
  if (tree[id].kind != PickleKind::persistent) refuse();
  const PickleValue& parts = tree[tree[id].items[0]];
  if (parts.kind != PickleKind::tuple || parts.items.size() < 5 || parts.items.size() > 6) refuse();
  const auto part = [&](size_t i) -> const PickleValue& { return tree[parts.items[i]]; };
  if (part(0).text != "storage" || part(1).kind != PickleKind::global || part(2).kind != PickleKind::text ||
      part(4).kind != PickleKind::integer)
    refuse();
  const auto type = storage_types().find(part(1).text);
  if (type == storage_types().end()) source.fail(fmt::format("storages of the type {} cannot be read", part(1).text));
  StorageInfo info;
  info.key = part(2).text;
  info.type = type->second;
  info.untyped = part(1).text.ends_with("UntypedStorage");
  info.count = part(4).integer;
  check_count(source, info);
  if (parts.items.size() == 6 && part(5).kind == PickleKind::tuple) {
    const std::vector<PickleId>& view = part(5).items;  // key, offset, count
    if (view.size() != 3 || tree[view[1]].kind != PickleKind::integer || tree[view[2]].kind != PickleKind::integer) refuse();
    info.view_offset = tree[view[1]].integer;
    info.view_count = tree[view[2]].integer;
    if (info.view_offset < 0 || info.view_count < 0 || info.view_offset > info.count || info.view_count > info.count - info.view_offset)
      refuse();
  }
  return info;
}

at::Tensor StorageReader::get(const StorageInfo& info) {
  auto place = loaded_.find(info.key);
  if (place == loaded_.end()) place = loaded_.emplace(info.key, read(info)).first;
  const at::Tensor& whole = place->second;
  if (whole.scalar_type() != info.type || whole.numel() != info.count) return read(info);
  return info.view_count < 0 ? whole : whole.narrow(0, info.view_offset, info.view_count);
}

std::unique_ptr<StorageReader> zip_storages(const ByteSource& source, const ZipArchive& archive, const std::string& prefix) {
  return std::make_unique<ZipStorages>(source, archive, prefix);
}

std::unique_ptr<StorageReader> legacy_storages(const ByteSource& source, const PickleTree& tree, const PickleTree& keys, uint64_t offset) {
  return std::make_unique<LegacyStorages>(source, tree, keys, offset);
}

}  // namespace lpnsr
