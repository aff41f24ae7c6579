#include "core/error.h"
#include "core/random.h"
#include "diffusion/image_ops.h"
#include "diffusion/patches.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

at::Tensor random_picture(at::IntArrayRef shape, uint64_t seed = 3) {
  return torch::rand(shape, make_generator(seed), at::TensorOptions(torch::kFloat32));
}

TEST(MirroredIndices, GoBackAndForth) {
  EXPECT_THAT(mirrored_indices(3, 8, Mirror::repeat_edge), ElementsAre(0, 1, 2, 2, 1, 0, 0, 1));
  EXPECT_THAT(mirrored_indices(3, 8, Mirror::skip_edge), ElementsAre(0, 1, 2, 1, 0, 1, 2, 1));
  EXPECT_THAT(mirrored_indices(1, 4, Mirror::repeat_edge), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(mirrored_indices(1, 4, Mirror::skip_edge), ElementsAre(0, 0, 0, 0));
}

TEST(PadForRestoring, KeepsThePictureInItsCorner) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {65, 2}, {64, 64}}) {
    const auto picture = random_picture({1, 3, height, width});
    const auto padded = pad_for_restoring(picture, 64, true);
    EXPECT_EQ(padded.size(2), height > 64 ? 128 : 64);
    EXPECT_EQ(padded.size(3), width > 64 ? 128 : 64);
    EXPECT_TRUE(torch::equal(padded.slice(2, 0, height).slice(3, 0, width), picture));
  }
  EXPECT_EQ(pad_for_restoring(random_picture({1, 3, 130, 20}), 64, false).sizes(), (std::vector<int64_t>{1, 3, 192, 64}));
}

TEST(PatchStarts, CoverEveryPixel) {
  for (int64_t length = 1; length < 90; ++length) {
    for (const int64_t stride : {1, 5, 16}) {
      int64_t covered = 0;
      for (const int64_t start : patch_starts(length, 16, stride)) {
        EXPECT_LE(start, covered) << length << " " << stride;
        covered = start + 16;
      }
      EXPECT_EQ(covered, std::max<int64_t>(length, 16));
    }
  }
  EXPECT_THROW_MESSAGE(patch_starts(10, 4, 0), UsageError, HasSubstr("at least 1"));
}

TEST(BlendPatches, IdentityGivesThePictureBack) {
  const auto picture = random_picture({2, 3, 45, 61});
  const auto blended = blend_patches(picture, 16, 7, 1, [](const at::Tensor& patch) { return patch; });
  EXPECT_TRUE(torch::allclose(blended, picture.to(torch::kFloat64), 0, 1e-12));
}

TEST(BlendPatches, ConstantWeightsMakeAConvexMixture) {
  int64_t calls = 0;
  const auto blended = blend_patches(random_picture({1, 1, 20, 20}), 16, 4, 2, [&calls](const at::Tensor&) {
    return torch::full({1, 1, 32, 32}, static_cast<double>(calls++));
  });
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(blended[0][0][0][0].item<double>(), 0.0);
  EXPECT_EQ(blended[0][0][39][39].item<double>(), 3.0);
  EXPECT_GE(blended.min().item<double>(), 0.0);
  EXPECT_LE(blended.max().item<double>(), 3.0 + 1e-12);
}

TEST(WaveletBlur, SpreadsAPointOverItsTaps) {
  auto point = torch::zeros({1, 1, 9, 9});
  point[0][0][4][4] = 16.0;
  const auto blurred = wavelet_blur(point, 3)[0][0];
  EXPECT_EQ(blurred[4][4].item<float>(), 4.0F);
  EXPECT_EQ(blurred[1][4].item<float>(), 2.0F);
  EXPECT_EQ(blurred[7][7].item<float>(), 1.0F);
  EXPECT_EQ(blurred.sum().item<float>(), 16.0F);
}

TEST(WaveletColorFix, KeepsDetailAndTakesColour) {
  const auto content = random_picture({1, 3, 40, 30}, 1);
  const auto [high, low] = wavelet_decomposition(content);
  EXPECT_TRUE(torch::allclose(high + low, content, 0, 1e-5));
  const auto shifted = content + 0.25;
  EXPECT_TRUE(torch::allclose(wavelet_color_fix(shifted, content), content, 0, 1e-5));
  EXPECT_EQ(wavelet_color_fix(content.to(torch::kFloat64), content).scalar_type(), torch::kFloat64);
}

TEST(MomentSums, EqualTheMomentsOfTheWhole) {
  const auto image = 0.01 * random_picture({1, 3, 90, 31}, 3) + 0.9;  // little spread beside a large mean
  for (const int64_t step : {1, 7, 90}) {
    MomentSums sums;
    for (int64_t top = 0; top < 90; top += step) sums.add(image.slice(2, top, std::min<int64_t>(90, top + step)));
    const auto got = sums.moments(), want = channel_moments(image);
    EXPECT_TRUE(torch::allclose(got.mean, want.mean, 0, 1e-6));
    EXPECT_TRUE(torch::allclose(got.deviation, want.deviation, 1e-5, 0));
  }
  MomentSums flat;
  flat.add(torch::full({1, 3, 1, 1}, 0.3));
  EXPECT_TRUE(torch::allclose(flat.moments().deviation, channel_moments(torch::full({1, 3, 1, 1}, 0.3)).deviation));
}

TEST(AdainColorFix, TakesMeanAndDeviationOfTheStyle) {
  const auto content = random_picture({1, 3, 40, 30}, 1), style = 0.3 * random_picture({1, 3, 20, 20}, 2) + 0.5;
  const auto fixed = adain_color_fix(content, style);
  EXPECT_TRUE(torch::allclose(fixed.mean({2, 3}), style.mean({2, 3}), 0, 1e-5));
  EXPECT_TRUE(torch::allclose(fixed.std({2, 3}), style.std({2, 3}), 0, 1e-3));
  EXPECT_TRUE(adain_color_fix(torch::full({1, 3, 1, 1}, 0.2), torch::full({1, 3, 1, 1}, 0.7)).allclose(torch::full({1, 3, 1, 1}, 0.7)));
}

}  // namespace
}  // namespace lpnsr::testing
