// Matrix products of layers with what follows them, against LibTorch's operators in float64.
#include <gtest/gtest.h>

#include "core/autocast.h"
#include "core/convolution.h"
#include "core/kernels/kernels.h"
#include "core/random.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

constexpr int64_t kIn = 48, kOut = 32;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed, c10::ScalarType type) {
  return torch::randn(shape, make_generator(seed), at::TensorOptions(torch::kFloat64)).to(torch::kBFloat16).to(type);
}

// Values that bfloat16 holds, so that only what is computed from them is rounded.
struct Case {
  at::Tensor x, weight, bias, residual;  // x [2,5,7,in], residual [2,5,7,out]
  explicit Case(c10::ScalarType type)
      : x(normal({2, 5, 7, kIn}, 1, type)),
        weight(normal({kOut, kIn}, 2, type) / 8),
        bias(normal({kOut}, 3, type)),
        residual(normal({2, 5, 7, kOut}, 4, type)) {}
};

enum class Follower { none, gelu, residual };
constexpr Follower followers[] = {Follower::none, Follower::gelu, Follower::residual};

Epilogue epilogue_of(Follower follower, const at::Tensor& residual) {
  return {follower == Follower::gelu, follower == Follower::residual ? residual : at::Tensor()};
}

at::Tensor plain(const Case& c, Follower follower) {
  const auto y = at::linear(c.x, c.weight, c.bias);
  return follower == Follower::none ? y : follower == Follower::gelu ? at::gelu(y) : y + c.residual;
}

LinearLayer layer_of(const Case& c) {
  LinearLayer layer(kIn, kOut);
  layer->weight.set_data(c.weight);
  layer->bias.set_data(c.bias);
  return layer;
}

Conv2d pointwise_of(const Case& c) {
  Conv2d layer(torch::nn::Conv2dOptions(kIn, kOut, 1));
  layer->weight.set_data(c.weight.view({kOut, kIn, 1, 1}));
  layer->bias.set_data(c.bias);
  return layer;
}

at::Tensor through(Conv2d& layer, const Case& c, Follower follower) {
  const auto map = [](const at::Tensor& pixels) { return pixels.permute({0, 3, 1, 2}); };
  return layer->forward_with(map(c.x), epilogue_of(follower, map(c.residual))).permute({0, 2, 3, 1});
}

TEST(Linear, InBfloat16IsAsGoodAsLibTorchsOperators) {
  const Case c(torch::kBFloat16), wide(torch::kFloat64);
  auto layer = layer_of(c);
  auto pointwise = pointwise_of(c);
  const torch::NoGradGuard no_gradients;
  for (const auto follower : followers) {
    const auto want = plain(wide, follower);
    const auto error = [&](const at::Tensor& got) { return ((got.to(torch::kFloat64) - want).norm() / want.norm()).item<double>(); };
    const double allowed = 1.02 * error(plain(c, follower));
    const auto got = layer->forward_with(c.x, epilogue_of(follower, c.residual));
    EXPECT_EQ(got.scalar_type(), torch::kBFloat16);
    EXPECT_LT(error(got), allowed) << static_cast<int>(follower);
    EXPECT_LT(error(through(pointwise, c, follower)), allowed) << static_cast<int>(follower);
  }
}

// Through the kept layouts of the weight and its transpose.
TEST(Linear, GradientsInBfloat16AreAsGoodAsLibTorchs) {
  for (const auto follower : followers) {
    const auto gradients = [&](c10::ScalarType type, bool ours) {
      Case c(type);
      for (auto* leaf : {&c.x, &c.weight, &c.bias, &c.residual}) leaf->requires_grad_();
      auto layer = layer_of(c);
      const auto y = ours ? layer->forward_with(c.x, epilogue_of(follower, c.residual)) : plain(c, follower);
      std::vector<at::Tensor> leaves = {c.x, ours ? layer->weight : c.weight, ours ? layer->bias : c.bias};
      if (follower == Follower::residual) leaves.push_back(c.residual);
      return torch::autograd::grad({(y * normal(y.sizes(), 5, type)).sum()}, leaves);
    };
    const auto want = gradients(torch::kFloat64, false), theirs = gradients(torch::kBFloat16, false),
               got = gradients(torch::kBFloat16, true);
    for (size_t i = 0; i < want.size(); ++i) {
      const auto error = [&](const at::Tensor& found) {
        return ((found.to(torch::kFloat64) - want[i]).norm() / want[i].norm()).item<double>();
      };
      EXPECT_EQ(got[i].scalar_type(), torch::kBFloat16);
      EXPECT_LE(error(got[i]), 1.1 * error(theirs[i])) << i;
    }
  }
}

TEST(Linear, GradientsAreThoseOfThePlainProduct) {
  const Case c(torch::kFloat64);
  for (const auto follower : followers) {
    auto layer = layer_of(c);
    auto pointwise = pointwise_of(c);
    const auto x = c.x.clone().requires_grad_(), residual = c.residual.clone().requires_grad_();
    const auto gradients = [&](const at::Tensor& y, const at::Tensor& weight) {
      auto found = torch::autograd::grad({y.square().sum()}, {x, residual, weight}, {}, std::nullopt, false, /*allow_unused=*/true);
      found[2] = found[2].view({kOut, kIn});
      return found;
    };
    Case leaves = c;
    leaves.x = x;
    leaves.residual = residual;
    leaves.weight = layer->weight;
    leaves.bias = layer->bias;
    const auto want = gradients(plain(leaves, follower), layer->weight);
    const auto expect_wanted = [&](const std::vector<at::Tensor>& got) {
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].defined(), want[i].defined()) << i;
        EXPECT_TRUE(!want[i].defined() || got[i].allclose(want[i], 1e-12, 1e-12)) << i;
      }
    };
    expect_wanted(gradients(layer->forward_with(x, epilogue_of(follower, residual)), layer->weight));
    expect_wanted(gradients(through(pointwise, leaves, follower), pointwise->weight));
  }
}

// A residual in float32 stays in float32, as LibTorch's sums of two types do.
TEST(Linear, UnderAutocastTheWidestTypeIsKept) {
  const Case c(torch::kFloat32);
  auto layer = layer_of(c);
  const torch::NoGradGuard no_gradients;
  const AutocastScope autocast(c10::kCPU, torch::kBFloat16);
  EXPECT_EQ(layer->forward_with(c.x, epilogue_of(Follower::gelu, {})).scalar_type(), torch::kBFloat16);
  EXPECT_EQ(layer->forward_with(c.x, epilogue_of(Follower::residual, c.residual)).scalar_type(), torch::kFloat32);
}

TEST(Linear, WhatIsKeptFollowsTheWeight) {
  const Case c(torch::kBFloat16);
  auto layer = layer_of(c);
  const torch::NoGradGuard no_gradients;
  const auto before = layer(c.x);
  layer->weight.mul_(2);
  EXPECT_TRUE(layer(c.x).equal(layer_of(c)(c.x)));  // of the same memory, doubled
  EXPECT_FALSE(layer(c.x).equal(before));
}

TEST(Linear, CountsTheWorkOfAProduct) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const Case c(type);
    auto layer = layer_of(c);
    const torch::NoGradGuard no_gradients;
    EXPECT_EQ(count_work([&] { layer(c.x); }).flops, 2.0 * 2 * 5 * 7 * kIn * kOut) << type;
  }
}

}  // namespace
}  // namespace lpnsr
