#include <fmt/format.h>

#include "diffusion/image_ops.h"
#include "diffusion/patches.h"
#include "tests/support/reference.h"

namespace lpnsr::testing {
namespace {

// H x W x 3 bytes -> [1,3,H,W] in [0,1].
at::Tensor picture(const at::Tensor& bytes) { return picture_of_bytes(bytes).unsqueeze(0); }

TEST(PaddingReference, IndexMapsAreEqual) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_pad");
  int checked = 0;
  for (const auto& [key, size] : golden.tensors) {
    if (!key.ends_with("/size")) continue;
    const std::string name = key.substr(0, key.size() - 5);
    const int64_t multiple = std::stoll(name.substr(name.find("_m") + 2));
    const int64_t height = size[0].item<int64_t>(), width = size[1].item<int64_t>();
    const auto rows = torch::arange(height, torch::kInt32).view({height, 1}).expand({height, width});
    const auto columns = torch::arange(width, torch::kInt32).view({1, width}).expand({height, width});
    for (const bool power_of_two : {false, true}) {
      const std::string step = power_of_two ? "" : "_step1";
      const auto padded_rows = pad_for_restoring(rows, multiple, power_of_two),
                 padded_columns = pad_for_restoring(columns, multiple, power_of_two);
      EXPECT_TRUE(torch::equal(padded_rows.select(1, 0), golden.at(name + "/rows" + step))) << name << step;
      EXPECT_TRUE(torch::equal(padded_columns.select(0, 0), golden.at(name + "/cols" + step))) << name << step;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 7);
}

TEST(PatchesReference, Windows) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_chop");
  for (const int64_t size : {15, 16, 64, 1024}) {
    EXPECT_TRUE(close(torch::tensor(gaussian_window(size), torch::kFloat64), golden.at(fmt::format("kernel_1d/{}", size)), 1e-12, 1e-12))
        << size;
  }
}

TEST(PatchesReference, Starts) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_chop");
  for (const int64_t length : {64, 128, 256, 257, 300, 384, 400, 512, 1000}) {
    const auto starts = torch::tensor(patch_starts(length, 256, 128), torch::kInt32);
    EXPECT_TRUE(torch::equal(starts, golden.at(fmt::format("starts_256_128/{}", length)))) << length;
  }
}

TEST(PatchesReference, BlendsAsPublished) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_chop");
  const auto [atol, rtol] = golden.tolerance("out");
  struct Case {
    std::string name;
    int64_t patch, stride, scale;
  };
  for (const auto& [name, patch, stride, scale] : {Case{"40x56_p16_s8_x2", 16, 8, 2}, Case{"40x56_p16_s16_x1", 16, 16, 1},
                                                   Case{"37x50_p16_s12_x4", 16, 12, 4}, Case{"12x40_p16_s8_x2", 16, 8, 2}}) {
    int64_t count = 0;
    const auto out = blend_patches(golden.input(name), patch, stride, scale, [&count, factor = scale](const at::Tensor& piece) {
      const auto large = at::upsample_nearest2d(piece, {piece.size(-2) * factor, piece.size(-1) * factor});
      return large * (1.0 + 0.01 * static_cast<double>(count++));
    });
    EXPECT_EQ(count, golden.at(name + "/patches").item<int64_t>());
    EXPECT_TRUE(close(out, golden.at(name + "/out"), atol, rtol)) << name;
    EXPECT_EQ(out.scalar_type(), torch::kFloat64);
  }
}

TEST(ColourFixReference, Wavelet) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_color");
  const auto content = picture(golden.at("content_u8")), style = picture(golden.at("style_u8"));
  const auto [atol, rtol] = golden.tolerance("wavelet/corrected");
  const auto [high, low] = wavelet_decomposition(content);
  EXPECT_TRUE(close(wavelet_blur(content, 4), golden.at("wavelet/blur_radius4"), atol, rtol));
  EXPECT_TRUE(close(high, golden.at("wavelet/content_high"), atol, rtol));
  EXPECT_TRUE(close(low, golden.at("wavelet/content_low"), atol, rtol));
  EXPECT_TRUE(close(wavelet_decomposition(style).low, golden.at("wavelet/style_low"), atol, rtol));
  EXPECT_TRUE(close(wavelet_color_fix(content, style).clamp(0, 1), golden.at("wavelet/corrected"), atol, rtol));
  EXPECT_TRUE(close(wavelet_color_fix(content, style), golden.at("invsr_wavelet/result"), atol, rtol));
}

TEST(ColourFixReference, AdaIN) {
  LPNSR_REQUIRE_GOLDENS();
  const auto golden = load_case("diffusion/ops_color");
  const auto [atol, rtol] = golden.tolerance("adain/result");
  EXPECT_TRUE(
      close(adain_color_fix(picture(golden.at("content_u8")), picture(golden.at("style_u8"))), golden.at("adain/result"), atol, rtol));
}

}  // namespace
}  // namespace lpnsr::testing
