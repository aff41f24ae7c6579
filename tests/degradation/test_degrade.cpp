#include <thread>

#include "core/error.h"
#include "degradation/degrade.h"
#include "degradation/jpeg.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

at::Tensor smooth_picture(int64_t height, int64_t width) {
  const auto coarse = lpnsr::testing::synthetic_tensor("degrade", "picture", {1, 3, 9, 11}, 0.5, 0.5);
  return torch::upsample_bilinear2d(coarse, {height, width}, false)[0].clamp(0, 1).contiguous();
}

DegradationParameters drawn(uint64_t seed, const std::string& flavour = "resshift", const std::string& jpeg = "differentiable") {
  DegradationOptions options;
  options.flavour = flavour;
  options.jpeg = jpeg;
  RandomStream stream(seed);
  return draw_parameters(options, stream);
}

TEST(Degrade, GivesLevelsOf8BitsOfTheRightSize) {
  const auto hr = smooth_picture(96, 64);
  for (const std::string flavour : {"resshift", "lpnsr", "realesrgan"}) {
    for (const std::string jpeg : {"differentiable", "codec", "none"}) {
      for (uint64_t seed = 0; seed < 12; ++seed) {
        const auto lr = degrade(hr, drawn(seed, flavour, jpeg));
        ASSERT_EQ(lr.sizes(), (std::vector<int64_t>{3, 24, 16}));
        EXPECT_GE(lr.min().item<float>(), 0.0F);
        EXPECT_LE(lr.max().item<float>(), 1.0F);
        EXPECT_TRUE(torch::equal(lr, (lr * 255).round() / 255)) << flavour << jpeg << seed;
        if (flavour != "lpnsr") {  // whose zero borders darken
          EXPECT_LT((lr.mean() - hr.mean()).abs().item<float>(), 0.12F) << flavour << jpeg << seed;
        }
      }
    }
  }
}

TEST(Degrade, TinyAndOddShapes) {
  for (const auto& [height, width] : {std::pair{4, 4}, std::pair{4, 128}, std::pair{12, 20}, std::pair{100, 4}}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto lr = degrade(smooth_picture(height, width), drawn(seed));
      EXPECT_EQ(lr.sizes(), (std::vector<int64_t>{3, height / 4, width / 4}));
      EXPECT_FALSE(lr.isnan().any().item<bool>());
    }
  }
}

TEST(Degrade, SameBytesInAnyThread) {
  const auto hr = smooth_picture(128, 128);
  std::vector<at::Tensor> alone, together(8);
  for (uint64_t seed = 0; seed < 8; ++seed) alone.push_back(degrade(hr, drawn(seed)));
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed) threads.emplace_back([&, seed] { together[seed] = degrade(hr, drawn(seed)); });
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < 8; ++i) EXPECT_TRUE(torch::equal(alone[i], together[i])) << i;
}

TEST(Degrade, StagesComeInTheirOrder) {
  DegradationParameters parameters;
  parameters.first.kernel = {.type = "iso", .size = 7, .padded_size = 21, .sigma_x = 1.0, .sigma_y = 1.0};
  parameters.first.resize_factor = 0.5;
  parameters.second.resize_factor = 0.7;
  std::vector<std::string> seen;
  std::map<std::string, int64_t> width;
  const auto observe = [&](const std::string& name, const Planes& picture) { seen.push_back(name), width[name] = picture.width; };
  degrade(smooth_picture(64, 64), parameters, observe);
  EXPECT_THAT(seen, ElementsAre("first.blur", "first.resize", "first.noise", "first.jpeg", "final.resize", "final.jpeg", "round"));
  EXPECT_EQ(width["first.resize"], 32);

  seen.clear();
  parameters.second_order = true;
  parameters.second.kernel = parameters.first.kernel;
  parameters.final_sinc = {.type = "sinc", .size = 7, .padded_size = 15, .omega = 2.0};
  parameters.final_sinc_before_jpeg = false;
  parameters.sharpen = true;
  degrade(smooth_picture(64, 64), parameters, observe);
  EXPECT_THAT(seen, ElementsAre("sharpen", "first.blur", "first.resize", "first.noise", "first.jpeg", "second.blur", "second.resize",
                                "second.noise", "final.jpeg", "final.resize", "final.sinc", "round"));
  EXPECT_EQ(width["second.resize"], 11);  // floor(16 * 0.7)
}

TEST(Degrade, ZeroBordersDarkenAndReflectedOnesDoNot) {
  const auto flat = torch::full({3, 64, 64}, 0.8);
  DegradationParameters parameters;
  parameters.jpeg = "none";
  parameters.first.kernel = {.type = "iso", .size = 19, .padded_size = 21, .sigma_x = 3.0, .sigma_y = 3.0};
  EXPECT_TRUE(close(degrade(flat, parameters), torch::full({3, 16, 16}, 0.8), 1e-6, 0));
  parameters.flavour = "lpnsr";
  EXPECT_LT(degrade(flat, parameters)[0][0][0].item<float>(), 0.5F);
}

TEST(Degrade, ShapesThatDoNotFitAreRefused) {
  EXPECT_THROW_MESSAGE(degrade(torch::zeros({3, 62, 64}), drawn(0)), Error, HasSubstr("multiples of 4"));
  EXPECT_THROW_MESSAGE(degrade(torch::zeros({1, 64, 64}), drawn(0)), Error, HasSubstr("3 channels"));
}

// The differentiable one has its luma table transposed and other chroma sampling, so that they agree roughly (goldens' README: 35-42 dB).
TEST(Jpeg, BothKindsAreNearAndBetterWithQuality) {
  const auto colourful = smooth_picture(90, 75);
  const auto picture = (0.8 * colourful.mean(0, true) + 0.2 * colourful).contiguous();  // they differ most in strong colours
  double last = 1.0;
  for (const double quality : {30.0, 60.0, 95.0}) {
    const auto soft = tensor_of(compress_differentiable(planes_of(picture), quality)),
               real = tensor_of(compress_codec(planes_of(picture), quality));
    EXPECT_LT((soft - real).square().mean().item<double>(), 4e-4) << quality;
    const double error = (soft - picture).square().mean().item<double>();
    EXPECT_LT(error, last);
    last = error;
  }
  EXPECT_TRUE(
      close(tensor_of(compress_differentiable(planes_of(torch::full({3, 16, 16}, 0.5)), 100.0)), torch::full({3, 16, 16}, 0.5), 1e-5, 0));
}

}  // namespace
}  // namespace lpnsr
