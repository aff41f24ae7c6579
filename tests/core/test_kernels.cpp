// The CPU kernels against LibTorch's operators in float64. ctest runs this file once more for each other instruction set of the processor.
#include <cstdlib>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/autocast.h"
#include "core/channels_last.h"
#include "core/convolution.h"
#include "core/nearest_codes.h"
#include "core/random.h"
#include "core/token_attention.h"
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

// Few and many pixels take different ways to the filters' gradient.
TEST(Convolve, FiltersGradientsInBfloat16AreAsGoodAsADirectConvolutions) {
  for (const MapCase& c : {MapCase{2, 64, 8, 12, 48}, MapCase{1, 32, 16, 16, 32}, MapCase{1, 32, 24, 20, 32}}) {
    const auto x = as_bfloat16(normal({c.batch, c.channels, c.height, c.width}, 1)),
               weight = as_bfloat16(normal({c.filters, c.channels, 3, 3}, 2) / 17),
               weights = as_bfloat16(normal({c.batch, c.filters, c.height, c.width}, 3));
    const auto gradient = [&](c10::ScalarType type, bool ours) {
      const auto leaf = weight.to(type).clone().requires_grad_();
      const auto y = ours ? convolve(x.to(type), leaf, {}, 1, 1) : at::conv2d(x.to(type), leaf, {}, 1, 1);
      return torch::autograd::grad({(y * weights.to(type)).sum()}, {leaf})[0].to(torch::kFloat64);
    };
    const auto want = gradient(torch::kFloat64, false);
    const auto error = [&](const at::Tensor& got) { return ((got - want).norm() / want.norm()).item<double>(); };
    EXPECT_LT(error(gradient(torch::kBFloat16, true)), 1.2 * error(gradient(torch::kBFloat16, false))) << c.height << "x" << c.width;
  }
}

// What is kept of a weight in lower precision is made again after an update, a load and a change of the memory.
TEST(Convolve, KeptWeightsFollowTheWeight) {
  SKIP_WITHOUT_KERNELS();
  const AutocastScope autocast(c10::kCPU, torch::kBFloat16);
  const auto x = as_float(normal({1, 32, 16, 16}, 1));
  Conv2d layer(torch::nn::Conv2dOptions(32, 32, 3).padding(1));
  const auto expect_equal_to_a_new_layer = [&](const char* after) {
    Conv2d other(torch::nn::Conv2dOptions(32, 32, 3).padding(1));
    const torch::NoGradGuard no_gradients;
    other->weight.copy_(layer->weight);
    other->bias.copy_(layer->bias);
    EXPECT_TRUE(layer(x).equal(other(x))) << after;
  };
  expect_equal_to_a_new_layer("the beginning");
  torch::optim::AdamW optimizer(layer->parameters(), torch::optim::AdamWOptions(0.1));
  layer(x).sum().backward();
  optimizer.step();
  expect_equal_to_a_new_layer("an update");
  {
    const torch::NoGradGuard no_gradients;
    layer->weight.copy_(as_float(normal({32, 32, 3, 3}, 5)));
  }
  expect_equal_to_a_new_layer("a copy");
  layer->weight.set_data(as_float(normal({32, 32, 3, 3}, 6)));
  expect_equal_to_a_new_layer("other data");
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

TEST(GroupNorm, APixelFarOffHarmsNeitherItsPictureNorTheOthers) {
  const auto x = as_float(normal({2, 64, 32, 32}, 1));
  x[0].select(1, 0).select(1, 0).fill_(300.0);
  const auto weight = torch::ones({64}), bias = torch::zeros({64});
  const auto normed = [&](const at::Tensor& map) { return group_norm(map, weight, bias, {.groups = 16, .eps = 1e-5, .silu = false}); };
  const auto want = at::group_norm(x.to(torch::kFloat64), 16);
  const auto error = (normed(x).to(torch::kFloat64) - want).flatten(1).norm(2, 1) / want.flatten(1).norm(2, 1);
  EXPECT_LT(error.max().item<double>(), 1e-6);
  const auto alone = normed(x)[1].clone();
  x[0].select(1, 0).select(1, 0).fill_(std::nan(""));
  EXPECT_TRUE(torch::equal(normed(x)[1], alone));
  EXPECT_TRUE(normed(x)[0].isnan().all().item<bool>());
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

// The same by LibTorch's operators on copies of the windows, with gradients.
at::Tensor attention_on_copies(const at::Tensor& qkv, const Windows& o, const WindowBias& bias) {
  const int64_t w = o.window, tokens = w * w, depth = qkv.size(3) / (3 * o.heads), rows = qkv.size(1) / w, columns = qkv.size(2) / w;
  const auto rolled = at::roll(qkv, {-o.shift, -o.shift}, {1, 2});
  std::vector<at::Tensor> lines;
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<at::Tensor> line;
    for (int64_t c = 0; c < columns; ++c) {
      const auto window = rolled.slice(1, r * w, (r + 1) * w)
                              .slice(2, c * w, (c + 1) * w)
                              .reshape({qkv.size(0), tokens, 3, o.heads, depth})
                              .permute({2, 0, 3, 1, 4});
      const auto& added = bias[static_cast<size_t>((r == rows - 1 ? 2 : 0) + (c == columns - 1 ? 1 : 0))];
      const auto mixed =
          (window[0].matmul(window[1].transpose(-2, -1)) / std::sqrt(static_cast<double>(depth)) + added).softmax(-1).matmul(window[2]);
      line.push_back(mixed.transpose(1, 2).reshape({qkv.size(0), w, w, qkv.size(3) / 3}));
    }
    lines.push_back(at::cat(line, 2));
  }
  return at::roll(at::cat(lines, 1), {o.shift, o.shift}, {1, 2});
}

class WindowAttention : public ::testing::TestWithParam<std::tuple<int64_t, int64_t>> {};  // depth, shift

TEST_P(WindowAttention, EqualsAttentionOnCopiedWindows) {
  SKIP_WITHOUT_KERNELS();
  const auto [depth, shift] = GetParam();
  const int64_t w = 8, heads = 3, rows = 2, columns = 9, tokens = w * w;  // 36 windows: more than one task's
  const Windows windows{.window = w, .shift = shift, .heads = heads};
  const auto qkv = normal({2, rows * w, columns * w, 3 * heads * depth}, 1).requires_grad_();
  const auto learned = normal({heads, tokens, tokens}, 10).requires_grad_();
  const auto biased = [&](const at::Tensor& shared) {
    WindowBias bias;
    for (size_t i = 0; i < 4; ++i) bias[i] = i == 0 ? shared : shared + normal({heads, tokens, tokens}, 10 + i).to(shared.scalar_type());
    return bias;
  };
  const auto want = attention_on_copies(qkv, windows, biased(learned));
  const auto weight = normal(want.sizes(), 20);
  const auto gradients = torch::autograd::grad({(want * weight).sum()}, {qkv, learned});
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const bool half = type == torch::kBFloat16;
    const double absolute = half ? 3e-2 : 2e-6, relative = half ? 1e-2 : 1e-5;
    auto x = as_float(qkv.detach()).to(type).requires_grad_();
    auto table = as_float(learned.detach()).requires_grad_();
    auto bias = biased(table);
    for (auto& b : bias) b = b.transpose(1, 2).contiguous().transpose(1, 2);  // any layout
    ASSERT_TRUE(window_attention_fits(x, windows));
    const auto got = window_attention(x, windows, bias);
    EXPECT_TRUE(close(got.detach(), want.detach(), absolute, relative)) << type;
    const auto found = torch::autograd::grad({(got * weight.to(type)).sum()}, {x, table});
    EXPECT_TRUE(close(found[0], gradients[0], 2 * absolute, relative)) << type;
    EXPECT_TRUE(close(found[1], gradients[1], (half ? 1e-1 : 1e-5), relative)) << type;
    const torch::NoGradGuard no_gradients;
    EXPECT_TRUE(window_attention(x, windows, bias).equal(got)) << type;
  }
}

// Whole vectors, SwinIR-L's, more than a block of columns, and less than a vector.
INSTANTIATE_TEST_SUITE_P(Depths, WindowAttention, ::testing::Combine(::testing::Values(32, 30, 64, 7), ::testing::Values(0, 4)));

TEST(WindowAttentionOf, NaNInAQueryOrAKeyIsSeen) {
  SKIP_WITHOUT_KERNELS();
  const Windows windows{.window = 8, .shift = 0, .heads = 2};
  const auto zeros = torch::zeros({2, 64, 64});
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    for (const int64_t part : {0, 1, 2}) {
      auto qkv = normal({1, 8, 8, 3 * 64}, 1).to(type);
      qkv[0][3][5][part * 64 + 7] = std::nan("");
      const auto result = window_attention(qkv, windows, {zeros, zeros, zeros, zeros})[0].slice(2, 0, 32).isnan();  // of the first head
      const int64_t want = part == 0 ? 32 : part == 1 ? 64 * 32 : 64;
      EXPECT_EQ(result.sum().item<int64_t>(), want) << part;
    }
  }
}

// More tokens than are taken at a time, and no multiple of it.
TEST(TokenAttention, InBfloat16IsAsGoodAsPlainProducts) {
  std::vector<at::Tensor> inputs;
  for (const uint64_t i : {1, 2, 3}) inputs.push_back(as_bfloat16(normal({2, 1, 600, 64}, i)));
  const auto weights = as_bfloat16(normal({2, 1, 600, 64}, 4));
  // The values, then the gradients.
  const auto results = [&](c10::ScalarType type, bool ours) {
    std::vector<at::Tensor> leaves;
    for (const auto& input : inputs) leaves.push_back(input.to(type).clone().requires_grad_());
    const auto plain = [&] {  // as autocast computes the published code
      const auto scores = leaves[0].matmul(leaves[1].transpose(2, 3)) / 8;
      return (type == torch::kBFloat16 ? scores.to(torch::kFloat32) : scores).softmax(-1).to(type).matmul(leaves[2]);
    };
    const auto y = ours ? token_attention(leaves[0], leaves[1], leaves[2]) : plain();
    auto all = torch::autograd::grad({(y * weights.to(type)).sum()}, leaves);
    all.push_back(y.detach());
    return all;
  };
  const auto want = results(torch::kFloat64, false), got = results(torch::kBFloat16, true), theirs = results(torch::kBFloat16, false);
  for (size_t i = 0; i < want.size(); ++i) {
    const auto error = [&](const at::Tensor& x) { return ((x.to(torch::kFloat64) - want[i]).norm() / want[i].norm()).item<double>(); };
    EXPECT_LT(error(got[i]), 1.2 * error(theirs[i])) << i;
  }
  const torch::NoGradGuard no_gradients;
  EXPECT_TRUE(token_attention(inputs[0], inputs[1], inputs[2]).equal(got.back()));
}

TEST(NearestCodes, AreThoseOfTheSmallestDistance) {
  for (const int64_t depth : {1, 3, 8}) {
    for (const int64_t count : {1, 37, 1000}) {
      const auto codes = normal({count, depth}, 1), points = normal({203, depth}, 2);
      const auto distances = (points.unsqueeze(1) - codes.unsqueeze(0)).square().sum(2);
      EXPECT_TRUE(nearest_codes(points, codes).equal(distances.argmin(1)));
      const auto found = nearest_codes(as_float(points), as_float(codes));
      const auto excess = distances.gather(1, found.unsqueeze(1)).squeeze(1) - std::get<0>(distances.min(1));
      EXPECT_LT(excess.max().item<double>(), 1e-5) << depth << " " << count;
    }
  }
}

TEST(NearestCodes, TheFirstOfEqualOnesIsTaken) {
  const auto codes = at::tensor({5.0F, 1.0F, 3.0F, 1.0F, 3.0F}).repeat({20}).unsqueeze(1);
  const auto points = at::tensor({1.0F, 3.0F, 9.0F, 2.0F}).unsqueeze(1);
  const auto want = at::tensor({1, 2, 0, 1}, torch::kInt64);
  EXPECT_TRUE(nearest_codes(points, codes).equal(want));
  EXPECT_TRUE(nearest_codes(points.to(torch::kFloat64), codes.to(torch::kFloat64)).equal(want));
  const auto nan = at::full({3, 1}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(nearest_codes(nan, codes).lt(100).all().item<bool>()) << "what is not finite must find some code";
}

TEST(WindowAttentionOf, FrozenTablesGetNoGradient) {
  SKIP_WITHOUT_KERNELS();
  const Windows windows{.window = 8, .shift = 0, .heads = 2};
  const auto shared = as_float(normal({2, 64, 64}, 1));
  auto qkv = as_float(normal({1, 8, 8, 3 * 64}, 2)).requires_grad_();
  window_attention(qkv, windows, {shared, shared, shared, shared}).sum().backward();
  EXPECT_TRUE(qkv.grad().defined());
  EXPECT_FALSE(shared.grad().defined());
}

}  // namespace
}  // namespace lpnsr
