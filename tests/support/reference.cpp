#include "tests/support/reference.h"

#include <cstdlib>
#include <fstream>

#include <fmt/ranges.h>

#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

// '*' stands for anything.
bool fits(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*') return fits(pattern.substr(1), name) || (!name.empty() && fits(pattern, name.substr(1)));
  return !name.empty() && pattern.front() == name.front() && fits(pattern.substr(1), name.substr(1));
}

}  // namespace

std::filesystem::path goldens() {
  const char* named = std::getenv("LPNSR_GOLDENS");
  return named != nullptr ? named : LPNSR_GOLDENS;
}

at::Tensor ReferenceCase::input(const std::string& name) const {
  const auto& entry = description.at("inputs").at(name);
  if (!entry.contains("salt")) return tensors.at(name);
  const auto shape = entry.at("shape").get<std::vector<int64_t>>();
  return synthetic_tensor(entry.at("salt"), entry.at("name"), shape, entry.value("scale", 1.0), entry.value("shift", 0.0));
}

std::pair<double, double> ReferenceCase::tolerance(const std::string& name) const {
  for (const auto& [patterns, entry] : description.at("tolerance").items()) {
    const size_t slash = patterns.rfind('/');
    const std::string prefix = patterns.find(',') != std::string::npos && slash != std::string::npos ? patterns.substr(0, slash + 1) : "";
    std::string rest = patterns.substr(prefix.size());
    for (size_t start = 0; start <= rest.size();) {
      const size_t end = std::min(rest.find(',', start), rest.size());
      const std::string pattern = prefix + rest.substr(start, end - start);
      // A pattern also names everything below it: "teacher" is for "teacher/input".
      if (pattern == "all" || fits(pattern, name) || name.starts_with(pattern + "/")) return {entry.at("atol"), entry.at("rtol")};
      start = end + 1;
    }
  }
  ADD_FAILURE() << "the case states no tolerance for '" << name << "'";
  return {0.0, 0.0};
}

ReferenceCase load_case(const std::string& relative_path) {
  auto file = read_safetensors(goldens() / (relative_path + ".safetensors"));
  return {nlohmann::json::parse(file.metadata.at("case")), std::move(file.tensors)};
}

::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& want, double atol, double rtol) {
  if (got.sizes() != want.sizes()) {
    return ::testing::AssertionFailure() << "shape " << fmt::format("[{}]", fmt::join(got.sizes(), ",")) << " where "
                                         << fmt::format("[{}]", fmt::join(want.sizes(), ",")) << " was expected";
  }
  if (want.numel() == 0) return ::testing::AssertionSuccess();
  const auto g = got.detach().to(torch::kFloat64).flatten(), w = want.detach().to(torch::kFloat64).flatten();
  const auto excess = (g - w).abs() - (atol + rtol * w.abs());
  const auto worst = torch::where(excess.isnan(), torch::full_like(excess, 1e300), excess).argmax().item<int64_t>();
  const double value = excess[worst].item<double>();
  if (value <= 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format(
             "element {} is {:.9g}, expected {:.9g} (atol {}, rtol {}); largest difference {:.3g}, {} of {} outside", worst,
             g[worst].item<double>(), w[worst].item<double>(), atol, rtol, (g - w).abs().max().item<double>(),
             (excess > 0).sum().item<int64_t>(), want.numel());
}

nlohmann::json published_manifest(const std::string& name) {
  std::ifstream file(goldens() / "diffusion" / "manifests" / (name + ".json"));
  return nlohmann::json::parse(file);
}

at::Tensor picture_of_bytes(const at::Tensor& bytes) { return bytes.to(torch::kFloat32).div(255.0).permute({2, 0, 1}).contiguous(); }

}  // namespace lpnsr::testing
