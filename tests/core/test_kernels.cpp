// The CPU kernels against LibTorch's operators in float64. ctest runs this file once more for each other instruction set of the processor.
#include <cstdlib>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/channels_last.h"
#include "core/convolution.h"
#include "core/random.h"
#include "core/window_attention.h"
#include "tests/support/reference.h"

namespace lpnsr {
namespace {

using testing::close;

at::Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, make_generator(seed), at::TensorOptions(torch::kFloat64));
}

at::Tensor as_float(const at::Tensor& x) { return x.to(torch::kFloat32); }

struct MapCase {
  int64_t batch, channels, height, width, filters;
};

// Sides that are no multiples of the tile, several groups of tiles, more filters than a block, few and many tiles.
constexpr MapCase cases[] = {{1, 32, 17, 22, 32}, {2, 48, 30, 33, 80}, {3, 16, 24, 40, 16}, {1, 64, 16, 16, 160}, {1, 256, 70, 90, 32}};

#define SKIP_WITHOUT_KERNELS() \
  if (kernels::kernels() == nullptr) GTEST_SKIP() << "this processor has no kernels, or LPNSR_KERNELS is off"

TEST(Kernels, TheNamedInstructionSetIsTaken) {
  const char* wanted = std::getenv("LPNSR_KERNELS");
  if (wanted == nullptr) GTEST_SKIP() << "none is named";
  const std::string name = wanted;
  const int64_t lanes = kernels::kernels() == nullptr ? 0 : kernels::kernels()->lanes;
  EXPECT_EQ(lanes, name == "avx512" || name == "avx512_bf16" ? 16 : name == "avx2" ? 8 : 0);
}

TEST(Winograd, EqualsTheDirectConvolution) {
  SKIP_WITHOUT_KERNELS();
  for (const auto& c : cases) {
    const auto x = normal({c.batch, c.channels, c.height, c.width}, 1),
               weight = normal({c.filters, c.channels, 3, 3}, 2) / std::sqrt(9.0 * static_cast<double>(c.channels)),
               bias = normal({c.filters}, 3), residual = normal({c.batch, c.filters, c.height, c.width}, 4);
    const auto want = at::conv2d(x, weight, bias, 1, 1);
    ASSERT_TRUE(winograd_fits(as_float(x), as_float(weight)));
    EXPECT_TRUE(close(winograd_convolution(as_float(x), as_float(weight), as_float(bias)), want, 3e-5, 0));
    const auto arranged = as_float(weight).contiguous(at::MemoryFormat::ChannelsLast);
    EXPECT_TRUE(close(winograd_convolution(as_float(x), arranged, as_float(bias)), want, 3e-5, 0)) << "filters channels-last";
    WinogradOptions options;
    options.residual = as_float(residual);
    EXPECT_TRUE(
        close(winograd_convolution(as_float(x), as_float(weight), {}, options), at::conv2d(x, weight, {}, 1, 1) + residual, 3e-5, 0));
    options = {};
    options.twice = true;
    EXPECT_TRUE(close(winograd_convolution(as_float(x), as_float(weight), as_float(bias), options),
                      at::conv2d(at::upsample_nearest2d(x, {2 * c.height, 2 * c.width}), weight, bias, 1, 1), 3e-5, 0));
    EXPECT_TRUE(close(winograd_input_gradient(as_float(want), as_float(weight)),
                      std::get<0>(at::convolution_backward(want, x, weight, at::OptionalIntArrayRef(), {1, 1}, {1, 1}, {1, 1}, false,
                                                           {0, 0}, 1, {true, false, false})),
                      6e-5, 0));
  }
}

at::Tensor as_bfloat16(const at::Tensor& x) { return x.to(torch::kBFloat16); }

TEST(Winograd, LargeMapsInBfloat16AreRoundedOnlyAtBothEnds) {
  SKIP_WITHOUT_KERNELS();
  const auto x = as_bfloat16(normal({1, 64, 192, 192}, 1)), weight = as_bfloat16(normal({32, 64, 3, 3}, 2) / 24);
  const auto want = at::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), {}, 1, 1);
  const auto got = winograd_convolution(x, weight, {});
  EXPECT_EQ(got.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(close(got, want, 3e-4, 0.5 / 128));  // half a unit in the last place
}

// Where products are in bfloat16 the error is no more than three times that of LibTorch's convolution in bfloat16, whose inputs are
// the same: 0.4 % of the result's deviation against 0.2 %.
TEST(Winograd, SmallMapsInBfloat16AreNearlyAsGoodAsADirectConvolution) {
  SKIP_WITHOUT_KERNELS();
  for (const MapCase& c : {MapCase{2, 320, 16, 16, 64}, MapCase{1, 256, 8, 8, 96}, MapCase{1, 64, 32, 30, 32}}) {
    const auto x = as_bfloat16(normal({c.batch, c.channels, c.height, c.width}, 1)),
               weight = as_bfloat16(normal({c.filters, c.channels, 3, 3}, 2) / std::sqrt(9.0 * static_cast<double>(c.channels)));
    if (!winograd_fits(x, weight)) continue;
    const auto want = at::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), {}, 1, 1);
    const auto error = [&](const at::Tensor& got) {
      return (got.to(torch::kFloat64) - want).norm().item<double>() / want.norm().item<double>();
    };
    EXPECT_LT(error(winograd_convolution(x, weight, {})), 3 * error(at::conv2d(x, weight, {}, 1, 1)));
    const auto gradient = as_bfloat16(want);
    const auto wanted =
        std::get<0>(at::convolution_backward(gradient.to(torch::kFloat64), x.to(torch::kFloat64), weight.to(torch::kFloat64),
                                             at::OptionalIntArrayRef(), {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1, {true, false, false}));
    EXPECT_LT((winograd_input_gradient(gradient, weight).to(torch::kFloat64) - wanted).norm().item<double>(),
              6e-3 * wanted.norm().item<double>());
  }
}

TEST(Winograd, SameBytesForAnyNumberOfThreads) {
  SKIP_WITHOUT_KERNELS();
  const int before = at::get_num_threads();
  for (const auto& c : cases) {
    const auto x = as_float(normal({c.batch, c.channels, c.height, c.width}, 1)),
               weight = as_float(normal({c.filters, c.channels, 3, 3}, 2));
    at::set_num_threads(1);
    const auto one = winograd_convolution(x, weight, {});
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      EXPECT_TRUE(at::equal(one, winograd_convolution(x, weight, {}))) << threads;
    }
  }
  at::set_num_threads(before);
}

TEST(Convolve, GradientsEqualTheDirectConvolutions) {
  const auto x = normal({2, 32, 18, 20}, 1), weight = normal({48, 32, 3, 3}, 2) / 17, bias = normal({48}, 3),
             weights = normal({2, 48, 18, 20}, 4);
  const auto gradients = [&](c10::ScalarType type) {
    std::vector<at::Tensor> leaves;
    for (const auto& leaf : {x, weight, bias}) leaves.push_back(leaf.to(type).clone().requires_grad_());
    const auto y = convolve(leaves[0], leaves[1], leaves[2], 1, 1);
    return torch::autograd::grad({(y * weights.to(type)).sum()}, leaves);
  };
  const auto want = gradients(torch::kFloat64), got = gradients(torch::kFloat32);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(close(got[i], want[i], 1e-5 * want[i].abs().max().item<double>(), 0)) << i;
}

TEST(Convolve, PointwiseIsAMatrixProductOfThePixels) {
  const auto x = normal({2, 32, 5, 7}, 1), weight = normal({24, 32, 1, 1}, 2), bias = normal({24}, 3);
  const auto arranged = as_float(x).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(close(convolve(arranged, as_float(weight), as_float(bias), 1, 0), at::conv2d(x, weight, bias), 3e-5, 0));
}

TEST(GroupNorm, ValuesAndGradientsWithAndWithoutSiluAndModulation) {
  for (const bool silu : {false, true}) {
    for (const bool modulated : {false, true}) {
      const auto x = normal({2, 64, 37, 41}, 1) * 3 + 20;  // far from zero: moments must not cancel
      const std::vector<int64_t> shape = modulated ? std::vector<int64_t>{2, 64} : std::vector<int64_t>{64};
      const auto weight = normal(shape, 2), bias = normal(shape, 3), weights = normal({2, 64, 37, 41}, 4);
      const auto run = [&](c10::ScalarType type) {
        std::vector<at::Tensor> leaves;
        for (const auto& leaf : {x, weight, bias}) leaves.push_back(leaf.to(type).clone().requires_grad_());
        const auto y = group_norm(leaves[0], leaves[1], leaves[2], {.groups = 16, .eps = 1e-5, .silu = silu});
        auto result = torch::autograd::grad({(y * weights.to(type)).sum()}, leaves);
        result.push_back(y.detach());
        return result;
      };
      const auto want = run(torch::kFloat64), got = run(torch::kFloat32);
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_TRUE(close(got[i], want[i], 3e-5 * want[i].abs().max().item<double>(), 0)) << i << silu << modulated;
      }
    }
  }
}

TEST(NormSiluConvolve, OnePassEqualsThree) {
  GroupNorm norm(torch::nn::GroupNormOptions(8, 64).eps(1e-6));
  Conv2d convolution(torch::nn::Conv2dOptions(64, 32, 3).padding(1));
  const auto x = as_float(normal({2, 64, 21, 19}, 1)), residual = as_float(normal({2, 32, 21, 19}, 2));
  const auto three =
      at::conv2d(at::silu(at::group_norm(x.to(torch::kFloat64), 8, norm->weight.to(torch::kFloat64), norm->bias.to(torch::kFloat64), 1e-6)),
                 convolution->weight.to(torch::kFloat64), convolution->bias.to(torch::kFloat64), 1, 1) +
      residual;
  EXPECT_TRUE(close(norm_silu_convolve(norm, convolution, x, residual).detach(), three.detach(), 3e-5, 0)) << "with gradients";
  const torch::NoGradGuard no_gradients;
  EXPECT_TRUE(close(norm_silu_convolve(norm, convolution, x, residual), three.detach(), 3e-5, 0));
}

TEST(WindowAttention, EqualsAttentionOnCopiedWindows) {
  SKIP_WITHOUT_KERNELS();
  for (const int64_t depth : {32, 30}) {  // whole vectors and SwinIR-L's
    for (const int64_t shift : {0, 4}) {
      const int64_t w = 8, heads = 3, rows = 2, columns = 3, tokens = w * w, channels = heads * depth;
      const auto qkv = normal({2, rows * w, columns * w, 3 * channels}, 1);
      WindowBias bias;
      for (size_t i = 0; i < 4; ++i) bias[i] = normal({heads, tokens, tokens}, 10 + i);
      const auto rolled = at::roll(qkv, {-shift, -shift}, {1, 2});
      auto want = at::empty({2, rows * w, columns * w, channels}, torch::kFloat64);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const auto window = rolled.slice(1, r * w, (r + 1) * w)
                                  .slice(2, c * w, (c + 1) * w)
                                  .reshape({2, tokens, 3, heads, depth})
                                  .permute({2, 0, 3, 1, 4});
          const auto& added = bias[static_cast<size_t>((r == rows - 1 ? 2 : 0) + (c == columns - 1 ? 1 : 0))];
          const auto mixed =
              (window[0].matmul(window[1].transpose(-2, -1)) / std::sqrt(static_cast<double>(depth)) + added).softmax(-1).matmul(window[2]);
          want.slice(1, r * w, (r + 1) * w).slice(2, c * w, (c + 1) * w).copy_(mixed.transpose(1, 2).reshape({2, w, w, channels}));
        }
      }
      want = at::roll(want, {shift, shift}, {1, 2});
      for (auto& b : bias) b = as_float(b).transpose(1, 2).contiguous().transpose(1, 2);  // any layout
      const Windows windows{.window = w, .shift = shift, .heads = heads};
      ASSERT_TRUE(window_attention_fits(as_float(qkv), windows));
      EXPECT_TRUE(close(window_attention(as_float(qkv), windows, bias), want, 2e-6, 1e-5)) << depth << " " << shift;
      const auto half = as_float(qkv).to(torch::kBFloat16);
      EXPECT_TRUE(close(window_attention(half, windows, bias), want, 3e-2, 1e-2)) << depth << " " << shift;
    }
  }
}

}  // namespace
}  // namespace lpnsr
