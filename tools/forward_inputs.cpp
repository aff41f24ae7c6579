#include "tools/forward_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"

namespace lpnsr {
namespace {

std::string type_name(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kHalf:
      return "float16";
    case at::kLong:
      return "int64";
    case at::kInt:
      return "int32";
    default:
      return c10::toString(type);
  }
}

std::string describe(const at::Tensor& tensor) {
  return fmt::format("{} [{}]", type_name(tensor.scalar_type()), fmt::join(tensor.sizes(), ","));
}

}  // namespace

ForwardInputs::ForwardInputs(const StateDict& tensors, std::string origin, c10::Device device)
    : tensors_(tensors), origin_(std::move(origin)), device_(device) {}

at::Tensor ForwardInputs::take(const std::string& name, const std::string& expected) const {
  used_.insert(name);
  if (const at::Tensor* tensor = tensors_.find(name)) return *tensor;
  std::vector<std::string> names;
  for (const auto& [present, tensor] : tensors_) names.push_back(present);
  throw DataError(fmt::format("{}: tensor '{}' is missing ({} expected); the file holds {}{}", origin_, name, expected,
                              names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")), did_you_mean(name, names)));
}

void ForwardInputs::refuse(const std::string& name, const std::string& expected, const at::Tensor& found) const {
  throw DataError(fmt::format("{}: tensor '{}' is {}; {} expected", origin_, name, describe(found), expected));
}

at::Tensor ForwardInputs::images(const std::string& name, int64_t channels, int64_t batch) const {
  const std::string expected = fmt::format("float32 [{},{},H,W]", batch < 0 ? "N" : std::to_string(batch), channels);
  const auto tensor = take(name, expected);
  const bool fits = tensor.scalar_type() == at::kFloat && tensor.dim() == 4 && tensor.size(1) == channels && tensor.numel() > 0 &&
                    (batch < 0 || tensor.size(0) == batch);
  if (!fits) refuse(name, expected, tensor);
  return tensor.to(device_);
}

at::Tensor ForwardInputs::images_like(const std::string& name, const at::Tensor& other, const std::string& other_name) const {
  const std::string expected = fmt::format("float32 [{}], the shape of '{}',", fmt::join(other.sizes(), ","), other_name);
  const auto tensor = take(name, expected);
  if (tensor.scalar_type() != at::kFloat || tensor.sizes() != other.sizes()) refuse(name, expected, tensor);
  return tensor.to(device_);
}

at::Tensor ForwardInputs::indices(const std::string& name, int64_t batch) const {
  const std::string expected = fmt::format("int64 [{}], 0 or more,", batch);
  const auto tensor = take(name, expected);
  if (tensor.scalar_type() != at::kLong || tensor.dim() != 1 || tensor.size(0) != batch) refuse(name, expected, tensor);
  if (tensor.min().item<int64_t>() < 0)
    throw DataError(fmt::format("{}: tensor '{}' holds negative values; {} expected", origin_, name, expected));
  return tensor.to(device_);
}

void ForwardInputs::warn_about_unused() const {
  for (const auto& [name, tensor] : tensors_) {
    if (!used_.contains(name)) log_warning("{}: tensor '{}' is not used", origin_, name);
  }
}

}  // namespace lpnsr
