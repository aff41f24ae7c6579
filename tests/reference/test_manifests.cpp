// Names, shapes, types and order of the full-size networks' state_dicts.
#include <fmt/ranges.h>

#include "core/state_dict.h"
#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/swin_unet.h"
#include "tests/support/reference.h"

namespace lpnsr::testing {
namespace {

std::vector<std::string> lines_of(const nlohmann::json& entries) {
  std::vector<std::string> lines;
  for (const auto& entry : entries) {
    lines.push_back(fmt::format("{} [{}] {}", entry.at(0).get<std::string>(), fmt::join(entry.at(1).get<std::vector<int64_t>>(), ","),
                                entry.at(2).get<std::string>()));
  }
  return lines;
}

std::vector<std::string> lines_of(const torch::nn::Module& module) {
  std::vector<std::string> lines;
  for (const auto& [key, tensor] : state_dict(module)) {
    const char* type = tensor.scalar_type() == torch::kInt64     ? "int64"
                       : tensor.scalar_type() == torch::kFloat32 ? "float32"
                                                                 : "another type";
    lines.push_back(fmt::format("{} [{}] {}", key, fmt::join(tensor.sizes(), ","), type));
  }
  return lines;
}

int64_t parameter_count(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

TEST(Manifest, Denoiser) {
  LPNSR_REQUIRE_GOLDENS();
  const SwinUNet network{SwinUNetOptions()};
  EXPECT_EQ(lines_of(*network), lines_of(published_manifest("resshift_unet")));
  EXPECT_EQ(parameter_count(*network), 118593583);
}

TEST(Manifest, NoisePredictor) {
  LPNSR_REQUIRE_GOLDENS();
  const NoisePredictor network{SwinUNetOptions()};
  EXPECT_EQ(lines_of(*network), lines_of(published_manifest("noise_predictor")));
  EXPECT_EQ(parameter_count(*network), 118602226);
}

TEST(Manifest, Autoencoder) {
  LPNSR_REQUIRE_GOLDENS();
  const Autoencoder network{AutoencoderOptions()};
  EXPECT_EQ(lines_of(*network), lines_of(published_manifest("vqgan_f4")));
  EXPECT_EQ(parameter_count(*network), 55322782);
}

TEST(Manifest, AutoencoderWithLora) {
  LPNSR_REQUIRE_GOLDENS();
  AutoencoderOptions options;
  options.lora_tune_decoder = true;
  const Autoencoder network(options);
  std::vector<std::string> changed;
  for (const auto& line : lines_of(*network)) {
    if (line.starts_with("post_quant_conv.")) changed.push_back(line);
  }
  EXPECT_EQ(changed, lines_of(published_manifest("vqgan_f4_lora_tune_decoder")));
}

}  // namespace
}  // namespace lpnsr::testing
