// The chain's operations as tensors, the form that runs on GPUs, against goldens/degradation.
#include "degradation/kernels.h"
#include "degradation/tensor_operations.h"
#include "tests/support/golden_pictures.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::golden_picture;
using lpnsr::testing::load_case;
using lpnsr::testing::mostly_close;

at::Tensor batch_of(const nlohmann::json& entries) {
  std::vector<at::Tensor> pictures;
  for (const auto& entry : entries) pictures.push_back(golden_picture(entry));
  return torch::stack(pictures);
}

TEST(ReferenceDegradationTensors, Filter) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/filter2d");
  const auto pictures = batch_of(reference.description.at("inputs"));
  const auto kernels = reference.at("kernels").to(torch::kFloat);
  const double atol = reference.description.at("tolerance").at("atol");
  EXPECT_TRUE(close(filter(pictures, kernels, Border::reflect), reference.at("reflect_per_sample"), atol, 0));
  EXPECT_TRUE(
      close(filter(pictures, kernels.narrow(0, 0, 1).expand_as(kernels), Border::zero), reference.at("zero_single_lpnsr"), atol, 0));
}

TEST(ReferenceDegradationTensors, Resize) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/resize");
  const auto picture = golden_picture(reference.description.at("inputs")).unsqueeze(0);
  for (const auto& entry : reference.description.at("entries")) {
    const std::string mode = entry.at("mode");
    const auto got = entry.contains("scale_factor") ? resize_by(picture, entry["scale_factor"], mode)
                                                    : resize_to(picture, entry["size"][0], entry["size"][1], mode);
    EXPECT_TRUE(close(got[0], reference.at(entry.at("name")), 1e-5, 0)) << entry;
  }
}

TEST(ReferenceDegradationTensors, DifferentiableJpegAndItsGradient) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/diffjpeg");
  const auto& inputs = reference.description.at("inputs");
  auto pictures = batch_of(inputs.at("batch"));
  const auto quality = torch::tensor(inputs.at("batch_quality").get<std::vector<double>>());
  const auto hard = compress_differentiable(pictures, quality, JpegRounding::hard);
  EXPECT_TRUE(mostly_close(hard, reference.at("batch_hard_out"), 2e-5, 0.98));
  EXPECT_LE((hard - reference.at("batch_hard_out")).abs().mean().item<double>(), 2e-4);

  pictures.requires_grad_(true);
  const auto soft = compress_differentiable(pictures, quality, JpegRounding::soft);
  EXPECT_TRUE(close(soft, reference.at("batch_diff_out"), 2e-5, 0));
  (soft * lpnsr::testing::synthetic_tensor("shared", "diffjpeg_grad_weight", soft.sizes())).sum().backward();
  EXPECT_TRUE(close(pictures.grad(), reference.at("batch_diff_grad"), 2e-4, 1e-3));
}

}  // namespace
}  // namespace lpnsr
