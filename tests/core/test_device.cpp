#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include "core/autocast.h"
#include "core/device.h"
#include "core/error.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::HasSubstr;

TEST(Device, NamesOfDevices) {
  EXPECT_EQ(parse_device("cpu"), c10::Device(c10::kCPU));
  EXPECT_THROW_MESSAGE(parse_device("cdua"), UsageError, HasSubstr("must be cpu, cuda or cuda:N"));
  for (const char* text : {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:999999999999", "cuda:128"}) {
    EXPECT_THROW_MESSAGE(parse_device(text), UsageError, HasSubstr("device '" + std::string(text) + "'"));
  }
}

TEST(Device, ABuildWithoutCudaSaysWhichBuildHasIt) {
#ifdef LPNSR_CUDA
  GTEST_SKIP() << "this is the GPU build";
#else
  for (const char* text : {"cuda", "cuda:1"}) EXPECT_THROW_MESSAGE(parse_device(text), Error, HasSubstr("tools/setup --cuda"));
#endif
}

TEST(Device, NamesOfPrecisions) {
  EXPECT_EQ(parse_precision("fp32"), c10::kFloat);
  EXPECT_EQ(parse_precision("bf16"), c10::kBFloat16);
  EXPECT_EQ(parse_precision("fp16"), c10::kHalf);
  EXPECT_THROW_MESSAGE(parse_precision("fp8"), UsageError, HasSubstr("must be fp32, bf16 or fp16"));
}

TEST(Device, AProcessorWithoutInstructionsForAPrecisionComputesInFloat32) {
  const auto told = [](c10::Device device, c10::ScalarType precision) {
    ::testing::internal::CaptureStderr();
    tell_of_precision(device, precision);
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(usable_precision(c10::kCPU, c10::kFloat), c10::kFloat);
  EXPECT_EQ(usable_precision(c10::kCUDA, c10::kBFloat16), c10::kBFloat16);
  EXPECT_EQ(told(c10::kCPU, c10::kFloat) + told(c10::kCUDA, c10::kHalf), "");
  std::ifstream processor("/proc/cpuinfo");
  const std::string flags{std::istreambuf_iterator<char>(processor), {}};
  if (flags.find("flags") == std::string::npos) GTEST_SKIP() << "an x86 processor lists what it has";
  if (flags.find("avx512bw") != std::string::npos) {
    EXPECT_EQ(usable_precision(c10::kCPU, c10::kBFloat16), c10::kBFloat16);
    EXPECT_EQ(told(c10::kCPU, c10::kBFloat16), "");
  } else {
    EXPECT_EQ(usable_precision(c10::kCPU, c10::kBFloat16), c10::kFloat);
    EXPECT_THAT(told(c10::kCPU, c10::kBFloat16), HasSubstr("no instructions for bf16: fp32 takes its place"));
  }
}

TEST(Device, Threads) {
  const int before = at::get_num_threads();
  set_threads(0);
  EXPECT_EQ(at::get_num_threads(), before);
  set_threads(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  set_threads(before);
  EXPECT_THROW_MESSAGE(set_threads(-1), UsageError, HasSubstr("got -1"));
}

c10::ScalarType type_of_product() { return at::matmul(at::ones({4, 4}), at::ones({4, 4})).scalar_type(); }

TEST(AutocastScope, HoldsForItsScopeAndRestoresTheOuterOne) {
  EXPECT_EQ(type_of_product(), c10::kFloat);
  {
    const AutocastScope outer(c10::kCPU, c10::kBFloat16);
    EXPECT_EQ(type_of_product(), c10::kBFloat16);
    {
      const AutocastScope inner(c10::kCPU, c10::kHalf);
      EXPECT_EQ(type_of_product(), c10::kHalf);
    }
    EXPECT_EQ(type_of_product(), c10::kBFloat16);
  }
  EXPECT_EQ(type_of_product(), c10::kFloat);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(c10::kCPU));
  const AutocastScope none(c10::kCPU, c10::kFloat);
  EXPECT_EQ(type_of_product(), c10::kFloat);
}

TEST(AutocastScope, EndsWhereSomethingIsThrown) {
  try {
    const AutocastScope scope(c10::kCPU, c10::kBFloat16);
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(type_of_product(), c10::kFloat);
}

// Converted weights are kept for the scope, so a scope after a step of the optimiser must see the new ones.
TEST(AutocastScope, AWeightChangedBetweenScopesIsConvertedAnew) {
  at::Tensor weight = at::ones({2, 2}).requires_grad_();
  const auto product = [&] {
    const AutocastScope scope(c10::kCPU, c10::kBFloat16);
    return at::matmul(at::ones({1, 2}), weight).sum().to(c10::kFloat).item<float>();
  };
  EXPECT_EQ(product(), 4.0F);
  {
    const torch::NoGradGuard guard;
    weight.mul_(3.0);
  }
  EXPECT_EQ(product(), 12.0F);
}

}  // namespace
}  // namespace lpnsr
