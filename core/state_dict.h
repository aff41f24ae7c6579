#pragma once
// Named tensors, and the strict way from them into a module.
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace torch::nn {
class Module;
}

namespace lpnsr {

// Ordered as written. Tensors are contiguous and on the CPU when they come from a file.
class StateDict {
 public:
  void add(std::string key, at::Tensor value);  // replaces an entry of the same key
  const at::Tensor* find(const std::string& key) const;
  const at::Tensor& at(const std::string& key) const;  // throws Error naming the key and the nearest one
  bool contains(const std::string& key) const { return find(key) != nullptr; }
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  StateDict with_prefix(const std::string& prefix) const;  // keys become prefix + key
  StateDict below(const std::string& prefix) const;        // entries whose key starts with prefix, which is taken off

 private:
  std::vector<std::pair<std::string, at::Tensor>> entries_;
  std::unordered_map<std::string, size_t> index_;
};

// Parameters and buffers under PyTorch's names in PyTorch's order (a module's own parameters, its buffers, then its children). The tensors
// share memory with the module.
StateDict state_dict(const torch::nn::Module& module);

struct LoadOptions {
  // Keys that contain one of these may be absent from the file and are left as the module computed them; where the file has them they are
  // ignored.
  std::vector<std::string> derived = {"attn_mask", "relative_position_index"};
};

// What keeps `weights` from fitting `module`, one text for each fault: the key and what was found.
struct Misfits {
  std::vector<std::string> missing, extra, shapes, types;
  bool none() const { return missing.empty() && extra.empty() && shapes.empty() && types.empty(); }
};
Misfits misfits(const torch::nn::Module& module, const StateDict& weights, const LoadOptions& options = {});

// "KEY: 3 of 12 values" for each tensor with NaN.
std::vector<std::string> nan_entries(const StateDict& weights, const LoadOptions& options = {});

// Throws DataError that names `origin` and lists all of these, each kind under its heading; returns where there are none.
void refuse_misfits(const std::string& origin, const Misfits& faults, const std::vector<std::string>& not_a_number);

// Copies `weights` into `module`: every key and shape must fit, nothing may be missing, extra or NaN. Half precision is widened. Throws
// DataError which names `origin`, then each missing key, each extra key, each shape that differs (both shapes) and each key with NaN;
// nothing is changed in that case.
void load_strictly(torch::nn::Module& module, const StateDict& weights, const std::string& origin, const LoadOptions& options = {});

}  // namespace lpnsr
