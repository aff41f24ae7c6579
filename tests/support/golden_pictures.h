#pragma once
// Crops of the stored pictures of goldens/degradation.
#include "degradation/planes.h"
#include "tests/support/reference.h"

namespace lpnsr::testing {

// [3,h,w] of an entry {"image": "images.safetensors:NAME", "y0", "x0", "h", "w"}.
inline at::Tensor golden_picture(const nlohmann::json& entry) {
  const std::string image = entry.at("image");
  const auto pictures = load_case("degradation/images");
  const auto whole = pictures.at(image.substr(image.find(':') + 1));
  const auto part = whole.slice(0, entry.at("y0"), entry.at("y0").get<int64_t>() + entry.at("h").get<int64_t>())
                        .slice(1, entry.at("x0"), entry.at("x0").get<int64_t>() + entry.at("w").get<int64_t>());
  return picture_of_bytes(part);
}

// At least `share` of the values within `atol`.
inline ::testing::AssertionResult mostly_close(const at::Tensor& got, const at::Tensor& want, double atol, double share) {
  if (got.sizes() != want.sizes())
    return ::testing::AssertionFailure() << "shape " << got.sizes() << " where " << want.sizes() << " was expected";
  const double within = ((got - want).abs() <= atol).to(torch::kFloat64).mean().item<double>();
  if (within >= share) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "only " << within << " of the values within " << atol << "; largest difference "
                                       << (got - want).abs().max().item<double>();
}

}  // namespace lpnsr::testing
