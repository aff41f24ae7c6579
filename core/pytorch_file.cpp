#include "core/pytorch_file.h"

#include <array>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/tensor_bytes.h"

namespace lpnsr {
namespace {

constexpr uint64_t longest_pickle = uint64_t{1} << 28;
constexpr size_t most_dimensions = 64;
// torch.save's magic number 0x1950a86a20f9469cfc6c, as the bytes that a pickle has for it.
constexpr std::string_view legacy_magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t legacy_protocol = 1001;

std::string callable(const PickleTree& tree, const PickleValue& value) {
  if (value.kind != PickleKind::call) return "";
  const PickleValue& called = tree[value.items[0]];
  return called.kind == PickleKind::global ? called.text : "";
}

bool makes_parameter(const std::string& name) {
  return name == "torch._utils._rebuild_parameter" || name == "torch._utils._rebuild_parameter_with_state";
}

bool makes_tensor(const std::string& name) {
  return name == "torch._utils._rebuild_tensor" || name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor_v3";
}

c10::ScalarType element_type(const std::string& name) {
  static const std::map<std::string, c10::ScalarType> types = {{"torch.float64", at::kDouble},
                                                               {"torch.float32", at::kFloat},
                                                               {"torch.float16", at::kHalf},
                                                               {"torch.bfloat16", at::kBFloat16},
                                                               {"torch.int64", at::kLong},
                                                               {"torch.int32", at::kInt},
                                                               {"torch.int16", at::kShort},
                                                               {"torch.int8", at::kChar},
                                                               {"torch.uint8", at::kByte},
                                                               {"torch.uint16", at::kUInt16},
                                                               {"torch.uint32", at::kUInt32},
                                                               {"torch.uint64", at::kUInt64},
                                                               {"torch.float8_e4m3fn", at::kFloat8_e4m3fn},
                                                               {"torch.float8_e5m2", at::kFloat8_e5m2}};
  const auto found = types.find(name);
  return found == types.end() ? c10::ScalarType::Undefined : found->second;
}

// The numbers of a shape: a tuple, a list, or torch.Size of one.
std::optional<std::vector<int64_t>> integers(const PickleTree& tree, PickleId id) {
  const PickleValue* value = &tree[id];
  if (callable(tree, *value) == "torch.Size") {
    const PickleValue& arguments = tree[value->items[1]];
    if (arguments.items.size() != 1) return std::nullopt;
    value = &tree[arguments.items[0]];
  }
  if ((value->kind != PickleKind::tuple && value->kind != PickleKind::list) || value->items.size() > most_dimensions) return std::nullopt;
  std::vector<int64_t> result;
  for (const PickleId item : value->items) {
    if (tree[item].kind != PickleKind::integer || tree[item].integer < 0) return std::nullopt;
    result.push_back(tree[item].integer);
  }
  return result;
}

// Whether a view with these strides stays inside `available` elements and shows none of them twice too often: a hostile stride of 0 would
// otherwise make a tensor of any size from one number.
bool view_fits(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides, int64_t offset, int64_t available) {
  int64_t last = offset, count = 1;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return byte_count(shape, at::kDouble).has_value() && offset <= available;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(shape[i] - 1, strides[i], &reach) || __builtin_add_overflow(last, reach, &last)) return false;
    if (__builtin_mul_overflow(count, shape[i], &count)) return false;
  }
  return last < available && count <= available;
}

}  // namespace

PytorchFile::PytorchFile(const ByteSource& source) : source_(source) {
  if (ZipArchive::looks_like_zip(source)) {
    open_zip();
  } else {
    open_legacy();
  }
}

void PytorchFile::open_zip() {
  format_ = "pytorch-zip";
  archive_ = std::make_unique<ZipArchive>(source_);
  std::string prefix;
  const ZipEntry* pickle = nullptr;
  for (const auto& [name, entry] : archive_->entries()) {
    const bool in_folder = name.ends_with("/data.pkl") && std::count(name.begin(), name.end(), '/') == 1;
    if (name != "data.pkl" && !in_folder) continue;
    if (pickle) source_.fail("the archive has several data.pkl");
    pickle = &entry;
    prefix = name.substr(0, name.size() - std::string_view("data.pkl").size());
  }
  if (!pickle) source_.fail("is a zip archive, but none of torch.save: it has no data.pkl");
  // A TorchScript program keeps its modules as objects in the same pickle; its code is left alone.
  is_script_ = archive_->find(prefix + "constants.pkl") != nullptr;
  if (pickle->size > longest_pickle) source_.fail(fmt::format("its data.pkl of {} bytes is larger than any list of tensors", pickle->size));
  if (const ZipEntry* order = archive_->find(prefix + "byteorder"); order && order->size < 16) {
    if (archive_->read_text(prefix + "byteorder", *order) != "little") source_.fail("was saved on a big-endian machine");
  }
  const std::string bytes = archive_->read_text(prefix + "data.pkl", *pickle);
  const auto memory = memory_source(bytes, source_.name());
  ByteCursor cursor(*memory, 0);
  tree_ = PickleTree::parse(*memory, cursor);
  storages_ = zip_storages(source_, *archive_, prefix);
}

void PytorchFile::open_legacy() {
  format_ = "pytorch-legacy";
  ByteCursor cursor(source_, 0);
  const PickleTree magic = PickleTree::parse(source_, cursor);
  if (magic.root().text != legacy_magic || magic.root().kind != PickleKind::long_integer) {
    source_.fail(fmt::format("is a bare Python pickle ({}), not a file of torch.save; nothing of it was executed",
                             describe(magic, magic.root_id())));
  }
  const PickleTree protocol = PickleTree::parse(source_, cursor);
  if (protocol.root().integer != legacy_protocol)
    source_.fail(fmt::format("has version {} of the old format; 1001 is known", protocol.root().integer));
  const PickleTree system = PickleTree::parse(source_, cursor);
  const std::vector<PickleId>& facts = system.root().items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (system[facts[i]].text == "little_endian" && system[facts[i + 1]].integer == 0) source_.fail("was saved on a big-endian machine");
  }
  tree_ = PickleTree::parse(source_, cursor);
  const PickleTree keys = PickleTree::parse(source_, cursor);
  storages_ = legacy_storages(source_, tree_, keys, cursor.position());
}

bool PytorchFile::is_tensor(PickleId id) const {
  const std::string name = callable(tree_, tree_[id]);
  return makes_tensor(name) || makes_parameter(name) || name == "torch._tensor._rebuild_from_type_v2";
}

PytorchFile::TensorCall PytorchFile::unwrap(PickleId id, const std::string& name) const {
  // A Parameter is made from a tensor; a tensor with attributes by (function, class, arguments, attributes).
  if (makes_parameter(callable(tree_, tree_[id]))) {
    const std::vector<PickleId>& arguments = tree_[tree_[id].items[1]].items;
    if (!arguments.empty()) id = arguments[0];
  }
  const std::string maker = callable(tree_, tree_[id]);
  if (makes_tensor(maker)) return {maker, tree_[id].items[1]};
  if (maker == "torch._tensor._rebuild_from_type_v2") {
    const std::vector<PickleId>& arguments = tree_[tree_[id].items[1]].items;
    if (arguments.size() >= 3 && makes_tensor(tree_[arguments[0]].text)) return {tree_[arguments[0]].text, arguments[2]};
  }
  source_.fail(fmt::format("'{}' is not a tensor that can be read but {}; nothing of it was executed", name, describe(tree_, id)));
}

at::Tensor PytorchFile::tensor(PickleId id, const std::string& name) const {
  const auto refuse = [&](const std::string& why) { source_.fail(fmt::format("'{}' {}", name, why)); };
  const TensorCall call = unwrap(id, name);
  const std::vector<PickleId>& arguments = tree_[call.arguments].items;
  const bool typed_later = call.maker.ends_with("_v3");
  if (arguments.size() < (typed_later ? 7U : 4U) || tree_[arguments[1]].kind != PickleKind::integer) refuse("has damaged arguments");
  const auto shape = integers(tree_, arguments[2]), strides = integers(tree_, arguments[3]);
  const int64_t offset = tree_[arguments[1]].integer;
  if (!shape || !strides || shape->size() != strides->size() || offset < 0) refuse("has a damaged shape");
  const StorageInfo info = storage_info(source_, tree_, arguments[0]);
  c10::ScalarType type = info.type;
  if (typed_later) type = element_type(tree_[arguments[6]].text);
  if (type == c10::ScalarType::Undefined || (info.untyped && !typed_later)) refuse("has a type of numbers that is not known");
  at::Tensor storage = storages_->get(info);
  if (type != info.type) {
    if (storage.nbytes() % c10::elementSize(type) != 0) refuse("has a storage that does not hold whole numbers");
    storage = storage.view(type);
  }
  if (!view_fits(*shape, *strides, offset, storage.numel())) {
    refuse(fmt::format("has the shape [{}], which its storage of {} elements does not hold", fmt::join(*shape, ", "), storage.numel()));
  }
  return storage.as_strided(*shape, *strides, offset).contiguous();
}

}  // namespace lpnsr
