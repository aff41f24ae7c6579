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

// The soft flavour and the gradient of a weighted sum of it.
void expect_soft_jpeg(at::Tensor pictures, const at::Tensor& quality, const lpnsr::testing::ReferenceCase& reference,
                      const std::string& name, const std::string& weights) {
  pictures.requires_grad_(true);
  const auto soft = compress_differentiable(pictures, quality, JpegRounding::soft);
  EXPECT_TRUE(close(soft, reference.at(name + "_diff_out"), 2e-5, 0)) << name;
  (soft * lpnsr::testing::synthetic_tensor("shared", weights, soft.sizes())).sum().backward();
  EXPECT_TRUE(close(pictures.grad(), reference.at(name + "_diff_grad"), 2e-4, 1e-3)) << name;
}

void expect_hard_jpeg(const at::Tensor& got, const at::Tensor& want) {
  EXPECT_TRUE(mostly_close(got, want, 2e-5, 0.98));
  EXPECT_LE((got - want).abs().mean().item<double>(), 2e-4);
}

TEST(ReferenceDegradationTensors, DifferentiableJpegAndItsGradient) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/diffjpeg");
  const auto& inputs = reference.description.at("inputs");
  const auto pictures = batch_of(inputs.at("batch")), odd = golden_picture(inputs.at("odd")).unsqueeze(0);
  const auto quality = torch::tensor(inputs.at("batch_quality").get<std::vector<double>>());
  expect_hard_jpeg(compress_differentiable(pictures, quality, JpegRounding::hard), reference.at("batch_hard_out"));
  for (const int q : {30, 50, 75, 95}) {
    SCOPED_TRACE(q);
    expect_hard_jpeg(compress_differentiable(odd, torch::tensor({1.0 * q}), JpegRounding::hard),
                     reference.at("odd_hard_q" + std::to_string(q)));
  }
  expect_soft_jpeg(pictures, quality, reference, "batch", "diffjpeg_grad_weight");
  expect_soft_jpeg(odd, torch::tensor({inputs.at("odd_quality_diff").get<double>()}), reference, "odd", "diffjpeg_grad_weight_odd");
}

TEST(ReferenceDegradationTensors, QuantisedCoefficients) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("degradation/diffjpeg");
  const auto picture = golden_picture(reference.description.at("inputs").at("batch").at(0)).unsqueeze(0);
  for (const int q : {30, 50}) {
    const auto got = quantised_coefficients(picture, torch::tensor({1.0 * q}), JpegRounding::hard);
    const std::string prefix = "coeff_q" + std::to_string(q);
    for (const auto& [name, plane] : {std::pair{"_y", got.luma}, {"_cb", got.blue}, {"_cr", got.red}}) {
      const auto want = reference.at(prefix + name).to(torch::kFloat);
      const auto difference = (plane.view_as(want) - want).abs();
      EXPECT_LE(difference.max().item<float>(), 1.0F) << prefix << name;
      EXPECT_LE(difference.gt(0).to(torch::kDouble).mean().item<double>(), 1e-3) << prefix << name;
    }
  }
}

}  // namespace
}  // namespace lpnsr
