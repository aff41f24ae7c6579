#include "core/resize.h"
#include "core/row_resizer.h"
#include "diffusion/color_rows.h"
#include "diffusion/image_ops.h"
#include "diffusion/patches.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

at::Tensor twice(const at::Tensor& x) { return at::upsample_nearest2d(x, {2 * x.size(-2), 2 * x.size(-1)}); }

at::Tensor map(at::IntArrayRef shape, const std::string& name = "map") { return synthetic_tensor("patches", name, shape, 0.5, 0.5); }

TEST(RampWindow, NeighboursAddUpToOne) {
  for (const int64_t side : {8, 16, 64, 256}) {
    const int64_t overlap = side / 4;
    const auto window = ramp_window(side, overlap);
    for (int64_t i = 0; i < overlap; ++i) {
      const double sum = window[static_cast<size_t>(i)] + window[static_cast<size_t>(side - overlap + i)];
      EXPECT_NEAR(sum, 1.0, 1e-6) << side << " " << i;
    }
    EXPECT_EQ(window[static_cast<size_t>(side / 2)], 1.0 + 1e-9);
    EXPECT_LT(window.front(), 0.2);
    EXPECT_GT(window.front(), 0.0);
  }
}

TEST(BlendRows, GivesTheBlendedMapFromTopToBottom) {
  const auto image = map({1, 3, 45, 61});
  for (const int64_t side : {16, 45, 100}) {
    for (const int64_t batch : {1, 3}) {
      auto grid = seamless_grid(45, 61, side, 2);
      grid.batch = batch;
      int64_t next = 0;
      blend_rows(
          grid,
          [&](const std::vector<Patch>& patches) {
            EXPECT_LE(patches.size(), static_cast<size_t>(batch));
            std::vector<at::Tensor> results;
            for (const auto& patch : patches) results.push_back(twice(patch.of(image)));
            return torch::cat(results, 0);
          },
          [&](const at::Tensor& rows) {
            EXPECT_TRUE(torch::allclose(rows, twice(image).slice(2, next, next + rows.size(2)).to(torch::kFloat64), 0, 1e-6));
            next += rows.size(2);
          });
      EXPECT_EQ(next, 90) << side;
    }
  }
}

// What each patch makes differs by a constant, as another mean in a normalisation would make it: no step may show where patches begin.
TEST(SeamlessGrid, HidesStepsBetweenPatches) {
  const auto grid = seamless_grid(40, 96, 32, 4);
  const auto largest_step = [](const at::Tensor& blended) {
    return torch::max(blended.diff(1, 2).abs().max(), blended.diff(1, 3).abs().max()).item<double>();
  };
  const auto constants = [](double& next) {
    return [&next](const std::vector<Patch>& patches) {
      next = 1.0 - next;
      return torch::full({1, 1, patches.front().height * 4, patches.front().width * 4}, next);
    };
  };
  double next = 0.0;
  EXPECT_LT(largest_step(blend_patches(grid, constants(next))), 0.055);  // a rise over 32 pixels is never steeper than pi / 64 a pixel
  auto cut = grid;
  cut.stride = cut.side;
  cut.window = [](int64_t size) { return std::vector<double>(static_cast<size_t>(size), 1.0); };
  next = 0.0;
  EXPECT_GT(largest_step(blend_patches(cut, constants(next))), 0.4);
}

// A network sees zeros beyond its patch: what that does to the outer quarter of an overlap must not show, except where the map itself ends.
TEST(SeamlessGrid, HidesWhatHappensAtTheBordersOfPatches) {
  const auto blended = blend_patches(seamless_grid(64, 112, 32, 2), [](const std::vector<Patch>& patches) {
    auto result = torch::ones({1, 1, 2 * patches.front().height, 2 * patches.front().width});
    result.slice(2, 8, -8).slice(3, 8, -8).zero_();  // of an overlap of 32 pixels
    return result;
  });
  EXPECT_LT(blended.slice(2, 8, -8).slice(3, 8, -8).max().item<double>(), 1e-6);
  EXPECT_EQ(blended.slice(3, 0, 8).min().item<double>(), 1.0);
}

TEST(SeamlessGrid, OverlapsByAQuarterAtLeast32PixelsAtMostHalf) {
  const auto overlap = [](int64_t side) { return side - seamless_grid(512, 512, side, 4).stride; };
  EXPECT_EQ(overlap(256), 64);
  EXPECT_EQ(overlap(128), 32);
  EXPECT_EQ(overlap(96), 32);
  EXPECT_EQ(overlap(64), 32);
  EXPECT_EQ(overlap(32), 16);
  EXPECT_EQ(overlap(1), 0);  // where a pixel is a patch, there is nothing to blend
}

TEST(ColorRows, EqualTheColourFixOfTheWhole) {
  const auto lr = map({1, 3, 70, 23}, "lr"), restored = map({1, 3, 280, 92}, "restored");
  const auto upsampled = resize_bicubic_scale(lr, 4);
  const std::vector<std::pair<RowFix, at::Tensor>> cases = {
      {wavelet_row_fix(lr, 4), wavelet_color_fix(restored, upsampled)},
      {adain_row_fix(channel_moments(restored), lr, 4), adain_color_fix(restored, upsampled)},
      {{}, restored}};
  for (const auto& [fix, fixed] : cases) {
    const auto whole = fixed.clamp(0, 1);
    std::vector<at::Tensor> taken;
    ColorRows rows(fix, 280, [&](const at::Tensor& more) { taken.push_back(more); });
    int64_t top = 0;
    for (const int64_t count : {3, 61, 1, 150, 64, 1}) {
      rows.add(restored.slice(2, top, top + count));
      top += count;
    }
    ASSERT_EQ(top, 280);
    EXPECT_TRUE(torch::allclose(torch::cat(taken, 2), whole, 0, 1e-6));
  }
}

TEST(RowResizer, EqualsTheResizingOfTheWhole) {
  const auto image = map({3, 61, 47});
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{31, 24}, {7, 5}, {61, 47}, {100, 90}, {1, 1}}) {
    const auto whole = resize_bicubic(image, height, width, /*antialias=*/true);
    for (const int64_t step : {1, 9, 61}) {
      std::vector<at::Tensor> taken;
      RowResizer resizer(61, height, width, [&](const at::Tensor& rows) { taken.push_back(rows); });
      for (int64_t top = 0; top < 61; top += step) resizer.add(image.slice(1, top, std::min<int64_t>(61, top + step)));
      const auto rows = torch::cat(taken, 1);
      ASSERT_EQ(rows.sizes(), whole.sizes());
      EXPECT_TRUE(torch::allclose(rows, whole, 0, 2e-5)) << height << " " << step;
    }
  }
}

TEST(ResizeBicubicScaleRows, ArePartOfTheWhole) {
  const auto image = map({2, 3, 29, 11});
  const auto whole = resize_bicubic_scale(image, 4);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {0, 116}, {5, 50}, {63, 64}, {100, 116}}) {
    EXPECT_TRUE(torch::allclose(resize_bicubic_scale_rows(image, 4, begin, end), whole.slice(2, begin, end), 0, 1e-6)) << begin;
  }
}

}  // namespace
}  // namespace lpnsr::testing
