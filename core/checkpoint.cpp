#include "core/checkpoint.h"

#include <set>

#include <fmt/ranges.h>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/pytorch_file.h"
#include "core/safetensors.h"

namespace lpnsr {
namespace {

constexpr size_t deepest_nesting = 4;
constexpr size_t deepest_module = 32, most_module_tensors = 100000;

// Where weights are looked for, best first: averaged weights before raw ones, as the official loaders prefer them.
const std::vector<std::string>& usual_names() {
  static const std::vector<std::string> names = {"params_ema", "ema_state_dict", "state_dict_ema",   "model_ema", "ema_model", "ema",
                                                 "params",     "state_dict",     "model_state_dict", "model",     "module",    "net",
                                                 "network",    "weights"};
  return names;
}

// Modules whose functions a file of weights has no reason to name. Nothing is ever executed; such a file is simply not to be trusted.
bool runs_code(const std::string& global) {
  static const std::vector<std::string> modules = {
      "posix.",    "os.",         "nt.",   "subprocess.", "sys.",    "runpy.",   "importlib.", "socket.",  "pty.",      "shutil.",
      "commands.", "webbrowser.", "code.", "codeop.",     "pickle.", "marshal.", "ctypes.",    "asyncio.", "operator.", "functools."};
  static const std::vector<std::string> functions = {"eval",    "exec",       "execfile", "compile", "open",      "getattr",
                                                     "setattr", "__import__", "apply",    "input",   "breakpoint"};
  const auto begins = [&](const std::string& module) { return global.starts_with(module); };
  if (std::any_of(modules.begin(), modules.end(), begins)) return true;
  for (const std::string builtins : {"builtins.", "__builtin__."}) {
    if (global.starts_with(builtins) && std::find(functions.begin(), functions.end(), global.substr(builtins.size())) != functions.end())
      return true;
  }
  return false;
}

class WeightsFinder {
 public:
  WeightsFinder(const ByteSource& source, const PytorchFile& file) : source_(source), file_(file), tree_(file.tree()) {}

  void find(WeightsFile& result) {
    refuse_code();
    const PickleId root = tree_.root_id();
    if (is_script_module(root)) {
      take_module(root, "", 0, result.tensors);
      if (result.tensors.empty()) source_.fail("there are no tensors in its modules");
      return;
    }
    if (tree_[root].kind != PickleKind::dict) {
      source_.fail(fmt::format("holds {} instead of a dictionary of tensors{}; nothing of it was executed", describe(tree_, root),
                               tree_[root].kind == PickleKind::call ? " (a whole object was saved; save its state_dict() instead)" : ""));
    }
    std::vector<std::string> path;
    const auto found = descend(root, path);
    if (!found) source_.fail(fmt::format("there are no tensors in it{}", keys_of(root)));
    result.found_under = fmt::format("{}", fmt::join(path, "."));
    const std::vector<PickleId>& items = tree_[*found].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) take(items[i], items[i + 1], result.tensors);
  }

 private:
  void refuse_code() const {
    for (const PickleValue& value : tree_.values()) {
      if (value.kind == PickleKind::global && runs_code(value.text)) {
        source_.fail(
            fmt::format("names {}, which would run code and has no place in a file of weights: refused, nothing was executed", value.text));
      }
    }
  }

  // A module of a TorchScript archive: an object of a class of its own with a dictionary of attributes.
  bool is_script_module(PickleId id) const {
    const PickleValue& value = tree_[id];
    return file_.is_script() && value.kind == PickleKind::call && value.items.size() == 3 &&
           tree_[value.items[0]].kind == PickleKind::global && tree_[value.items[0]].text.starts_with("__torch__.") &&
           tree_[value.items[2]].kind == PickleKind::dict;
  }

  // Tensors among the attributes and, below their names, those of the modules among them: the keys of state_dict(). Other attributes say
  // how the program runs.
  void take_module(PickleId id, const std::string& prefix, size_t depth, StateDict& tensors) const {
    if (depth > deepest_module) source_.fail(fmt::format("'{}' is a module too deep inside others", prefix));
    const std::vector<PickleId>& items = tree_[tree_[id].items[2]].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const std::string key = prefix + tree_[items[i]].text;
      if (tensors.size() > most_module_tensors) source_.fail("its modules hold more tensors than any network");
      if (file_.is_tensor(items[i + 1])) {
        tensors.add(key, file_.tensor(items[i + 1], key));
      } else if (is_script_module(items[i + 1])) {
        take_module(items[i + 1], key + ".", depth + 1, tensors);
      }
    }
  }

  bool has_tensors(PickleId id) const {
    if (tree_[id].kind != PickleKind::dict) return false;
    const std::vector<PickleId>& items = tree_[id].items;
    for (size_t i = 1; i < items.size(); i += 2) {
      if (file_.is_tensor(items[i])) return true;
    }
    return false;
  }

  // The dictionary that holds the weights: `id` itself or one below it, whose names are then in `path`.
  std::optional<PickleId> descend(PickleId id, std::vector<std::string>& path) {
    if (tree_[id].kind != PickleKind::dict || path.size() > deepest_nesting || !visited_.insert(id).second) return std::nullopt;
    std::map<std::string, PickleId> below;
    const std::vector<PickleId>& items = tree_[id].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (tree_[items[i]].kind == PickleKind::text && tree_[items[i + 1]].kind == PickleKind::dict)
        below[tree_[items[i]].text] = items[i + 1];
    }
    const auto enter = [&](const std::string& name) {
      path.push_back(name);
      const auto found = descend(below.at(name), path);
      if (!found) path.pop_back();
      return found;
    };
    for (const std::string& name : usual_names()) {
      if (!below.contains(name)) continue;
      if (const auto found = enter(name)) return found;
    }
    if (has_tensors(id)) return id;
    std::vector<std::string> holders;
    for (const auto& [name, inner] : below) {
      if (has_tensors(inner)) holders.push_back(name);
    }
    if (holders.size() > 1)
      source_.fail(fmt::format("holds several sets of tensors and none under a usual name: {}", fmt::join(holders, ", ")));
    return holders.empty() ? std::nullopt : enter(holders[0]);
  }

  void take(PickleId key_id, PickleId id, StateDict& tensors) const {
    const PickleValue& value = tree_[id];
    const PickleValue& key = tree_[key_id];
    if (file_.is_tensor(id)) {
      if (key.kind != PickleKind::text) source_.fail(fmt::format("a tensor is named by {}", describe(tree_, key_id)));
      if (tensors.contains(key.text)) source_.fail(fmt::format("the key '{}' comes twice", key.text));
      tensors.add(key.text, file_.tensor(id, key.text));
    } else if (value.kind == PickleKind::call || value.kind == PickleKind::persistent || value.kind == PickleKind::global) {
      source_.fail(
          fmt::format("'{}' is not a tensor but {}, which cannot be made without running code: refused", key.text, describe(tree_, id)));
    }
  }

  std::string keys_of(PickleId id) const {
    std::vector<std::string> keys;
    const std::vector<PickleId>& items = tree_[id].items;
    for (size_t i = 0; i + 1 < items.size() && keys.size() < 10; i += 2) keys.push_back(tree_[items[i]].text);
    return keys.empty() ? "" : fmt::format("; its entries: {}", fmt::join(keys, ", "));
  }

  const ByteSource& source_;
  const PytorchFile& file_;
  const PickleTree& tree_;
  std::set<PickleId> visited_;
};

// What DataParallel and torch.compile put before every key.
void strip_prefixes(WeightsFile& file) {
  for (bool again = true; again && !file.tensors.empty();) {
    again = false;
    for (const std::string prefix : {"module.", "_orig_mod."}) {
      const bool everywhere =
          std::all_of(file.tensors.begin(), file.tensors.end(), [&](const auto& entry) { return entry.first.starts_with(prefix); });
      if (!everywhere) continue;
      file.tensors = file.tensors.below(prefix);
      file.stripped_prefix += prefix;
      again = true;
    }
  }
}

// Says what the file is instead, where that can be told from its first bytes.
[[noreturn]] void refuse_unknown(const ByteSource& source) {
  const std::string start = source.read_text(0, std::min<uint64_t>(source.size(), 512));
  if (start.starts_with("version https://git-lfs"))
    source.fail("is a Git LFS pointer, not the weights: fetch the file itself (git lfs pull)");
  if (start.starts_with("<")) source.fail("is a web page or XML, not weights: the download failed; fetch the file again");
  if (source.size() > 262 && start.substr(257, 5) == "ustar")
    source.fail("is a tar archive; unpack it, or save the weights again with PyTorch 1.6 or later");
  source.fail("is neither a file of torch.save (.pth, .pt, .ckpt) nor safetensors");
}

}  // namespace

WeightsFile read_weights(const std::filesystem::path& path, FileAccess access) {
  const auto source = open_file(path, access);
  WeightsFile result;
  // The length that begins a safetensors file may look like the beginning of a pickle.
  const bool safetensors = looks_like_safetensors(*source);
  const bool pickle = source->read_text(0, 1) == "\x80" && !(safetensors && source->read_little_endian(0, 8) < source->size());
  if (ZipArchive::looks_like_zip(*source) || pickle) {
    const PytorchFile file(*source);
    result.format = file.format();
    WeightsFinder(*source, file).find(result);
  } else if (safetensors) {
    result = read_safetensors(path, access);
  } else {
    refuse_unknown(*source);
  }
  strip_prefixes(result);
  return result;
}

}  // namespace lpnsr
