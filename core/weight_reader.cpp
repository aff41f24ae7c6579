#include "core/weight_reader.h"

#include <ATen/Functions.h>
#include <fmt/ranges.h>

namespace lpnsr {

WeightReader::WeightReader(StateDict weights, std::string origin, c10::Device device, const LoadOptions& options)
    : weights_(std::move(weights)), origin_(std::move(origin)), device_(device), options_(options) {
  options_.derived.emplace_back("num_batches_tracked");
}

const at::Tensor* WeightReader::find(const std::string& key, at::IntArrayRef shape) {
  taken_.insert(key);
  const at::Tensor* found = weights_.find(key);
  if (found == nullptr) {
    faults_.missing.push_back(fmt::format("{} [{}]", key, fmt::join(shape, ", ")));
  } else if (found->sizes() != shape) {
    faults_.shapes.push_back(
        fmt::format("{}: the file has [{}], the module needs [{}]", key, fmt::join(found->sizes(), ", "), fmt::join(shape, ", ")));
    found = nullptr;
  } else if (!found->is_floating_point()) {
    faults_.types.push_back(fmt::format("{}: the file has {}, the module needs Float", key, toString(found->scalar_type())));
    found = nullptr;
  }
  return found;
}

at::Tensor WeightReader::take(const std::string& key, at::IntArrayRef shape) {
  const at::Tensor* found = find(key, shape);
  return found == nullptr ? at::zeros(shape, at::device(device_).dtype(at::kFloat)) : found->to(device_, at::kFloat).contiguous();
}

void WeightReader::skip(const std::string& key, at::IntArrayRef shape) { find(key, shape); }

void WeightReader::finish() const {
  Misfits faults = faults_;
  for (const auto& [key, value] : weights_) {
    const bool derived = std::any_of(options_.derived.begin(), options_.derived.end(),
                                     [&key = key](const std::string& part) { return key.find(part) != std::string::npos; });
    if (!taken_.contains(key) && !derived) faults.extra.push_back(fmt::format("{} [{}]", key, fmt::join(value.sizes(), ", ")));
  }
  refuse_misfits(origin_, faults, nan_entries(weights_, options_));
}

}  // namespace lpnsr
