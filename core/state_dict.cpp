#include "core/state_dict.h"

#include <cmath>

#include <fmt/ranges.h>

#include "core/error.h"

namespace lpnsr {
namespace {

// The first few faults of one kind.
std::string fault_list(const std::string& kind, const std::vector<std::string>& faults) {
  constexpr size_t shown = 10;
  if (faults.empty()) return "";
  const std::vector<std::string> first(faults.begin(), faults.begin() + static_cast<std::ptrdiff_t>(std::min(shown, faults.size())));
  const std::string rest = faults.size() > shown ? fmt::format("\n    … and {} more", faults.size() - shown) : "";
  return fmt::format("\n  {} ({}):\n    {}{}", kind, faults.size(), fmt::join(first, "\n    "), rest);
}

std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")); }

bool contains_any(const std::string& key, const std::vector<std::string>& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return key.find(part) != std::string::npos; });
}

void collect(const torch::nn::Module& module, const std::string& prefix, StateDict& into) {
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) into.add(prefix + parameter.key(), parameter.value());
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) into.add(prefix + buffer.key(), buffer.value());
  for (const auto& child : module.named_children()) collect(*child.value(), prefix + child.key() + ".", into);
}

}  // namespace

void StateDict::add(std::string key, at::Tensor value) {
  const auto [place, is_new] = index_.try_emplace(key, entries_.size());
  if (is_new) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

const at::Tensor* StateDict::find(const std::string& key) const {
  const auto place = index_.find(key);
  return place == index_.end() ? nullptr : &entries_[place->second].second;
}

const at::Tensor& StateDict::at(const std::string& key) const {
  if (const at::Tensor* tensor = find(key)) return *tensor;
  std::vector<std::string> keys;
  for (const auto& entry : entries_) keys.push_back(entry.first);
  throw Error(fmt::format("there is no tensor '{}'{}", key, did_you_mean(key, keys)));
}

StateDict StateDict::with_prefix(const std::string& prefix) const {
  StateDict result;
  for (const auto& [key, value] : entries_) result.add(prefix + key, value);
  return result;
}

StateDict StateDict::below(const std::string& prefix) const {
  StateDict result;
  for (const auto& [key, value] : entries_) {
    if (key.starts_with(prefix)) result.add(key.substr(prefix.size()), value);
  }
  return result;
}

StateDict state_dict(const torch::nn::Module& module) {
  StateDict result;
  collect(module, "", result);
  return result;
}

Misfits misfits(const torch::nn::Module& module, const StateDict& weights, const LoadOptions& options) {
  const StateDict targets = state_dict(module);
  Misfits found;
  for (const auto& [key, target] : targets) {
    if (contains_any(key, options.derived)) continue;
    const at::Tensor* value = weights.find(key);
    if (!value) {
      found.missing.push_back(fmt::format("{} {}", key, shape_text(target)));
    } else if (value->sizes() != target.sizes()) {
      found.shapes.push_back(fmt::format("{}: the file has {}, the module needs {}", key, shape_text(*value), shape_text(target)));
    } else if (value->is_floating_point() != target.is_floating_point() || value->is_complex()) {
      found.types.push_back(
          fmt::format("{}: the file has {}, the module needs {}", key, toString(value->scalar_type()), toString(target.scalar_type())));
    }
  }
  for (const auto& [key, value] : weights) {
    if (!targets.contains(key) && !contains_any(key, options.derived)) found.extra.push_back(fmt::format("{} {}", key, shape_text(value)));
  }
  return found;
}

std::vector<std::string> nan_entries(const StateDict& weights, const LoadOptions& options) {
  std::vector<std::string> found;
  for (const auto& [key, value] : weights) {
    if (contains_any(key, options.derived) || !value.is_floating_point()) continue;
    if (!std::isnan(value.sum().item<double>())) continue;  // one pass; infinities of both signs give NaN too
    const int64_t count = value.isnan().sum().item<int64_t>();
    if (count > 0) found.push_back(fmt::format("{}: {} of {} values", key, count, value.numel()));
  }
  return found;
}

void refuse_misfits(const std::string& origin, const Misfits& faults, const std::vector<std::string>& not_a_number) {
  if (faults.none() && not_a_number.empty()) return;
  throw DataError(fmt::format("{}: the weights do not fit the module{}{}{}{}{}", origin, fault_list("missing", faults.missing),
                              fault_list("not part of the module", faults.extra), fault_list("of another shape", faults.shapes),
                              fault_list("of another type", faults.types), fault_list("with NaN values", not_a_number)));
}

void load_strictly(torch::nn::Module& module, const StateDict& weights, const std::string& origin, const LoadOptions& options) {
  torch::NoGradGuard no_grad;
  refuse_misfits(origin, misfits(module, weights, options), nan_entries(weights, options));
  for (const auto& [key, target] : state_dict(module)) {
    if (!contains_any(key, options.derived)) at::Tensor(target).copy_(weights.at(key));
  }
}

}  // namespace lpnsr
