#include "core/work_counter.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

double flops(const std::function<void()>& work) { return count_work(work).flops; }

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation = 1,
                    int64_t groups = 1) {
  return at::conv2d(input, weight, {}, {stride, stride}, {padding, padding}, {dilation, dilation}, groups);
}

TEST(WorkCounter, CountsProductsAndConvolutions) {
  const at::Tensor a = torch::rand({3, 4}), b = torch::rand({4, 5});
  EXPECT_EQ(flops([&] { torch::mm(a, b); }), 2.0 * 3 * 4 * 5);
  EXPECT_EQ(flops([&] { torch::addmm(torch::rand({5}), a, b); }), 2.0 * 3 * 4 * 5);
  EXPECT_EQ(flops([&] { torch::bmm(torch::rand({7, 3, 4}), torch::rand({7, 4, 5})); }), 2.0 * 7 * 3 * 4 * 5);
  // 9x9 places, kernel 3x3 of 6 channels, in groups of 2; strided and dilated; transposed: each input place spreads its kernel.
  const at::Tensor image = torch::rand({2, 6, 9, 9});
  EXPECT_EQ(flops([&] { convolve(image, torch::rand({8, 6, 3, 3}), 1, 1); }), 2.0 * 2 * 81 * 8 * 6 * 9);
  EXPECT_EQ(flops([&] { convolve(image, torch::rand({6, 2, 3, 3}), 1, 1, 1, 3); }), 2.0 * 2 * 81 * 6 * 2 * 9);
  EXPECT_EQ(flops([&] { convolve(image, torch::rand({8, 6, 3, 3}), 2, 0, 2); }), 2.0 * 2 * 9 * 8 * 6 * 9);
  EXPECT_EQ(flops([&] { at::conv_transpose2d(image, torch::rand({6, 8, 4, 4}), {}, {2, 2}, {1, 1}); }), 2.0 * 2 * 81 * 6 * 8 * 16);
  EXPECT_EQ(flops([&] { image.exp().sum(); }), 0.0);
}

TEST(WorkCounter, ABackwardPassCostsOnceForEachGradientThatIsWanted) {
  const at::Tensor image = torch::rand({1, 4, 8, 8});
  const double forward = 2.0 * 64 * 5 * 4 * 9;
  for (const bool both : {false, true}) {
    at::Tensor input = image.clone().requires_grad_(both), weight = torch::rand({5, 4, 3, 3}).requires_grad_(true);
    EXPECT_EQ(flops([&] { convolve(input, weight, 1, 1).sum().backward(); }), forward * (both ? 3 : 2));
  }
}

TEST(WorkCounter, AttentionIsTwoProductsFusedOrNot) {
  const at::Tensor query = torch::rand({2, 3, 64, 16}), key = torch::rand({2, 3, 32, 16});
  const double want = 2 * 2.0 * 2 * 3 * 64 * 32 * 16;
  EXPECT_EQ(flops([&] { at::scaled_dot_product_attention(query, key, key); }), want);
  EXPECT_EQ(flops([&] { at::_scaled_dot_product_attention_math(query, key, key); }), want);
}

TEST(WorkCounter, PeakIsOfWhatIsAliveTogether) {
  const auto count = count_work([] {
    { const at::Tensor large = torch::empty({1 << 20}); }
    const at::Tensor a = torch::empty({1 << 18}), b = torch::empty({1 << 19});
  });
  EXPECT_GE(count.peak_bytes, 4 << 20);
  EXPECT_LT(count.peak_bytes, (4 << 20) + 4096);
}

TEST(WorkCounter, WhatOutlivesTheWorkIsToldApart) {
  at::Tensor kept;
  const auto count = count_work([&kept] {
    const at::Tensor gone = torch::empty({1 << 18});
    kept = torch::empty({1 << 16});
  });
  EXPECT_GE(count.left_bytes, 4 << 16);
  EXPECT_LT(count.left_bytes, (4 << 16) + 4096);
}

TEST(WorkCounter, AFailureEndsTheCounting) {
  EXPECT_THROW(count_work([] { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_EQ(flops([] { torch::mm(torch::rand({2, 2}), torch::rand({2, 2})); }), 16.0);
}

}  // namespace
}  // namespace lpnsr
