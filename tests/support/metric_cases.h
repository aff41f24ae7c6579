#pragma once
// Pictures and stored stages of goldens/metrics.
#include <fstream>

#include <fmt/format.h>

#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {

// "ost_288x200", "cal_I03_dist": RGB [3,H,W] in [0,1].
inline at::Tensor metric_picture(const std::string& name) {
  if (!name.starts_with("cal_")) return read_image(goldens() / "metrics/images" / (name + ".png")).rgb;
  const size_t bar = name.rfind('_');
  return read_image(goldens().parent_path() / "data/iqa-calibration" / name.substr(bar + 1) / (name.substr(4, bar - 4) + ".png")).rgb;
}

// A large tensor is stored as every s-th element of its row-major flattening, with its shape and its mean, deviation, minimum and maximum.
// The tolerance is `atol` + `of_largest` times the largest magnitude.
inline ::testing::AssertionResult stage_close(const ReferenceCase& reference, const std::string& key, const at::Tensor& got, double atol,
                                              double of_largest = 0.0) {
  const auto whole = got.detach().to(at::kCPU, at::kDouble).contiguous();
  if (const auto* stored = reference.tensors.find(key)) {
    const double largest = stored->to(at::kDouble).abs().max().item<double>();
    return close(whole, stored->to(at::kDouble), atol + of_largest * largest, 0.0);
  }
  const auto& stored = reference.at(key + ".strided");
  const auto shape = reference.at(key + ".shape");
  if (!whole.numel() || shape.prod().item<int64_t>() != whole.numel()) {
    return ::testing::AssertionFailure() << key << " has " << whole.numel() << " elements where " << shape.prod().item<int64_t>()
                                         << " were expected";
  }
  const int64_t stride = (whole.numel() + stored.numel() - 1) / stored.numel();
  const auto stats = reference.at(key + ".stats");
  const double largest = std::max(std::abs(stats[2].item<double>()), std::abs(stats[3].item<double>()));
  const double tolerance = atol + of_largest * largest;
  const auto flat = whole.flatten();
  auto result = close(flat.slice(0, 0, flat.numel(), stride), stored.to(at::kDouble), tolerance, 0.0);
  if (!result) return result;
  const auto summary = at::stack({flat.mean(), flat.std(false), flat.min(), flat.max()});
  return close(summary, stats, tolerance, 0.0);
}

// A published file by its manifest, filled by the synthetic rule. `change` may alter a tensor; `prefix` is part of the names that the rule
// sees. What a network derives itself is left out.
inline std::filesystem::path write_published(const TemporaryFolder& folder, const std::string& manifest,
                                             const std::function<at::Tensor(const std::string&, at::Tensor)>& change = nullptr,
                                             const std::string& prefix = "") {
  std::ifstream file(goldens() / "metrics/manifests" / (manifest + ".json"));
  StateDict weights;
  for (const auto& entry : nlohmann::json::parse(file)) {
    const std::string key = entry[0];
    const auto shape = entry[1].get<std::vector<int64_t>>();
    // Of a classifier, which nothing reads and which is the larger part of its file, the last bias is enough.
    const bool unused = key.starts_with("classifier.") && key != "classifier.6.bias";
    if (unused || key.find("attn_mask") != std::string::npos) continue;
    if (entry[2] == "int64") {
      weights.add(key, at::zeros(shape, at::kLong));
      continue;
    }
    auto value = synthetic_weight(shared_salt, prefix + key, shape);
    weights.add(key, change ? change(key, value) : value);
  }
  write_safetensors(folder / (manifest + ".safetensors"), weights);
  return folder / (manifest + ".safetensors");
}

inline at::Tensor rescaled(const std::string& key, const at::Tensor& value, double scale) {
  return synthetic_tensor(shared_salt, key, value.sizes(), scale);
}

// MANIQA's channel attention saturates with the rule's plain weights.
inline at::Tensor maniqa_weight(const std::string& key, at::Tensor value) {
  if (key == "vit.pos_embed" || key == "vit.cls_token") return rescaled(key, value, 0.5);
  if (key.starts_with("tablock") && (key.ends_with("c_q.weight") || key.ends_with("c_k.weight"))) return value * 0.25;
  if (key == "fc_weight.3.weight") return value * 0.1;
  return key == "fc_score.3.bias" ? value + 6 : value;
}

// The two files of goldens/metrics' DISTS.
inline std::vector<std::filesystem::path> write_dists(const TemporaryFolder& folder) {
  const auto backbone = write_published(
      folder, "torchvision_vgg16-397923af",
      [](const std::string&, at::Tensor value) { return value.dim() > 1 ? value * std::sqrt(2.0) : value; }, "vgg16/");
  StateDict channels;
  for (const std::string name : {"alpha", "beta"})
    channels.add(name, synthetic_tensor(shared_salt, "dists/" + name, {1, 1475, 1, 1}, 0.05, 0.1));
  write_safetensors(folder / "channels.safetensors", channels);
  return {backbone, folder / "channels.safetensors"};
}

}  // namespace lpnsr::testing
