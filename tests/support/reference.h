#pragma once
// Reference cases: X.safetensors with a JSON description under the metadata key `case`.
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/checkpoint.h"

namespace lpnsr::testing {

std::filesystem::path goldens();  // the folder, which may not exist
// Skips the test with a message that ctest reads as SKIPPED where the reference data are not present.
#define LPNSR_REQUIRE_GOLDENS() \
  if (!std::filesystem::exists(::lpnsr::testing::goldens())) GTEST_SKIP() << "LPNSR_GOLDENS: not present"

struct ReferenceCase {
  nlohmann::json description;
  StateDict tensors;
  // A tensor of the description's `inputs`: made by the synthetic rule or stored in the file.
  at::Tensor input(const std::string& name) const;
  const at::Tensor& at(const std::string& name) const { return tensors.at(name); }
  // {"atol","rtol"} of the entry of `tolerance` whose pattern (comma-separated, * wildcard, prefix before '/') fits the name.
  std::pair<double, double> tolerance(const std::string& name) const;
};
ReferenceCase load_case(const std::string& relative_path);  // "diffusion/unet_tinyA"

nlohmann::json published_manifest(const std::string& name);  // names, shapes and types of a published network, in order

// [h,w,3] of bytes to [3,h,w] in [0, 1].
at::Tensor picture_of_bytes(const at::Tensor& bytes);

// |got - want| <= atol + rtol |want| everywhere; the failure message has the largest excess and its place.
::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& want, double atol, double rtol);

}  // namespace lpnsr::testing
