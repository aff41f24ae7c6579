#include "tests/support/synthetic.h"

#include <cmath>

#include "core/state_dict.h"

namespace lpnsr::testing {
namespace {

uint64_t fnv1a64(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3ULL;
  return hash;
}

bool ends_with(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

at::Tensor as_float(const std::vector<double>& values, at::IntArrayRef shape) {
  return torch::tensor(values, torch::kFloat64).to(torch::kFloat32).reshape(shape);
}

int64_t element_count(at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  return count;
}

}  // namespace

std::vector<double> synthetic_value(const std::string& salt, const std::string& name, int64_t count) {
  const uint64_t hash = fnv1a64(salt + "/" + name);
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    uint64_t z = hash + (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z = z ^ (z >> 31);
    values[static_cast<size_t>(i)] = 2.0 * (static_cast<double>(z >> 11) * 0x1.0p-53) - 1.0;
  }
  return values;
}

at::Tensor synthetic_tensor(const std::string& salt, const std::string& name, at::IntArrayRef shape, double scale, double shift) {
  auto values = synthetic_value(salt, name, element_count(shape));
  for (double& value : values) value = scale * value + shift;
  return as_float(values, shape);
}

at::Tensor synthetic_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape) {
  auto values = synthetic_value(salt, name, element_count(shape));
  double scale = 1.0, shift = 0.0;
  if (ends_with(name, "running_var")) {
    scale = 0.25, shift = 1.0;
  } else if (ends_with(name, "running_mean")) {
    scale = 0.1;
  } else if (shape.size() == 1 && ends_with(name, "weight")) {
    scale = 0.1, shift = 1.0;
  } else if (shape.size() == 1) {
    scale = 0.05;
  } else if (shape.size() > 1) {
    scale = std::sqrt(3.0 / static_cast<double>(element_count(shape.slice(1))));
  }
  for (double& value : values) value = scale * value + shift;
  return as_float(values, shape);
}

void fill_synthetic(torch::nn::Module& module, const std::string& salt, const std::vector<std::string>& skip) {
  const torch::NoGradGuard no_grad;
  for (const auto& [key, tensor] : state_dict(module)) {
    const bool skipped =
        std::any_of(skip.begin(), skip.end(), [&key = key](const std::string& part) { return key.find(part) != std::string::npos; });
    if (tensor.is_floating_point() && !skipped) tensor.copy_(synthetic_weight(salt, key, tensor.sizes()));
  }
}

}  // namespace lpnsr::testing
