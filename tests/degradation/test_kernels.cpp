#include <cmath>

#include "degradation/blur.h"
#include "degradation/kernels.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::synthetic_tensor;

KernelParameters parameters(const std::string& type, int64_t size, double sigma_x, double sigma_y, double theta, double beta = 1.0) {
  return {.type = type, .size = size, .padded_size = 0, .sigma_x = sigma_x, .sigma_y = sigma_y, .theta = theta, .beta = beta, .omega = 1.3};
}

TEST(Kernels, SumToOne) {
  for (const std::string type : {"iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc"}) {
    for (const std::string flavour : {"resshift", "lpnsr"}) {
      double sum = 0.0;
      for (const double tap : make_kernel(parameters(type, 11, 1.7, 0.6, 0.9, 1.5), flavour).taps) sum += tap;
      EXPECT_NEAR(sum, 1.0, 1e-12) << type;
    }
  }
}

TEST(Kernels, ShapesOfOneAreTheGaussian) {
  const auto gaussian = make_kernel(parameters("aniso", 9, 1.7, 0.6, 0.9), "resshift");
  const auto generalized = make_kernel(parameters("generalized_aniso", 9, 1.7, 0.6, 0.9, 1.0), "resshift");
  for (size_t i = 0; i < gaussian.taps.size(); ++i) EXPECT_NEAR(gaussian.taps[i], generalized.taps[i], 1e-15);
}

TEST(Kernels, WideAlongTheAngle) {
  const auto along_x = make_kernel(parameters("aniso", 9, 2.0, 0.5, 0.0), "resshift");
  EXPECT_GT(along_x.at(4, 7), along_x.at(7, 4));
  const auto diagonal = make_kernel(parameters("aniso", 9, 2.0, 0.5, std::acos(-1.0) / 4), "resshift");
  EXPECT_GT(diagonal.at(6, 6), diagonal.at(6, 2));
}

TEST(Kernels, PaddingIsCentred) {
  auto small = parameters("iso", 5, 1.0, 1.0, 0.0);
  const auto kernel = make_kernel(small, "resshift");
  small.padded_size = 21;
  const auto padded = make_kernel(small, "resshift");
  EXPECT_EQ(padded.size, 21);
  EXPECT_EQ(padded.at(10, 10), kernel.at(2, 2));
  EXPECT_EQ(padded.at(10, 13), 0.0);
}

// The same sums with LibTorch's convolution in float64.
TEST(Filter, EqualsAConvolution) {
  const auto picture = synthetic_tensor("filter", "picture", {3, 23, 37}, 0.5, 0.5);
  for (const auto& kernel_parameters :
       {parameters("iso", 13, 1.4, 1.4, 0.0), parameters("aniso", 11, 2.0, 0.4, 0.7), parameters("sinc", 7, 0, 0, 0)}) {
    const auto kernel = make_kernel(kernel_parameters, "resshift");
    const auto weight = torch::tensor(kernel.taps, torch::kFloat64).reshape({1, 1, kernel.size, kernel.size}).expand({3, 1, -1, -1});
    const int64_t margin = kernel.size / 2;
    const auto batch = picture.to(torch::kFloat64).unsqueeze(0);
    const auto convolved = [&weight](const at::Tensor& input, int64_t padding) {
      return torch::convolution(input, weight, {}, {1, 1}, {padding, padding}, {1, 1}, false, {0, 0}, 3)[0];
    };
    const auto mirrored = convolved(torch::reflection_pad2d(batch, {margin, margin, margin, margin}), 0);
    EXPECT_TRUE(close(tensor_of(filter(planes_of(picture), kernel, Border::reflect)), mirrored, 2e-6, 0));
    EXPECT_TRUE(close(tensor_of(filter(planes_of(picture), kernel, Border::zero)), convolved(batch, margin), 2e-6, 0));
  }
}

TEST(Filter, ReflectsAnyNumberOfTimes) {
  const auto picture = torch::full({3, 2, 1}, 0.4);
  const auto kernel = make_kernel(parameters("iso", 21, 3.0, 3.0, 0.0), "resshift");
  EXPECT_TRUE(close(tensor_of(filter(planes_of(picture), kernel, Border::reflect)), picture, 1e-6, 0));
}

}  // namespace
}  // namespace lpnsr
