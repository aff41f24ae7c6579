#include "core/error.h"
#include "core/published_weights.h"
#include "eval/metrics.h"
#include "eval/psnr_ssim.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

at::Tensor picture(uint64_t seed, int64_t height = 40, int64_t width = 36) {
  torch::manual_seed(seed);
  return torch::randint(0, 256, {3, height, width}).to(torch::kFloat32) / 255;
}

TEST(Psnr, OfAKnownError) {
  const auto reference = torch::full({3, 20, 20}, 100.0 / 255);
  const auto image = torch::full({3, 20, 20}, 110.0 / 255);
  // Every RGB value is off by 10, so Y by 10 (65.481 + 128.553 + 24.966) / 255.
  EXPECT_NEAR(psnr(image, reference, {.channel = "rgb"}), 20 * std::log10(255.0 / 10), 1e-9);
  EXPECT_NEAR(psnr(image, reference), 20 * std::log10(255.0 / (10 * 219.0 / 255)), 1e-4);
  EXPECT_TRUE(std::isinf(psnr(image, image)));
  EXPECT_NEAR(psnr(image, image, {.protocol = "pyiqa"}), 80.0, 1e-6);
}

TEST(MetricOptions, AreNamedAsTheyWereWritten) {
  EXPECT_THROW_MESSAGE(make_metric("psnr:crop=wide", {}), UsageError, ::testing::StartsWith("psnr:crop=wide: crop: "));
  EXPECT_THROW_MESSAGE(make_metric("ssim", {.psnr_ssim = {"channel=y", "crop=1.5"}}), UsageError, ::testing::StartsWith("--crop=1.5: "));
}

TEST(Psnr, CropLeavesTheBorderOut) {
  const auto reference = picture(1);
  auto image = reference.clone();
  image.narrow(1, 0, 4).fill_(0);
  image.narrow(2, 32, 4).fill_(1);
  EXPECT_TRUE(std::isinf(psnr(image, reference)));
  EXPECT_LT(psnr(image, reference, {.crop = 3}), 40.0);
  EXPECT_NEAR(ssim(image, reference), 1.0, 1e-12);
}

// The definition, pixel by pixel: no convolution, no separable pass.
double plain_ssim(const at::Tensor& a, const at::Tensor& b) {
  constexpr double c1 = 6.5025, c2 = 58.5225;
  double weights[11][11], total = 0;
  for (int i = 0; i < 11; ++i) {
    for (int j = 0; j < 11; ++j) total += weights[i][j] = std::exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / 4.5);
  }
  const auto x = a.to(torch::kFloat64).contiguous(), y = b.to(torch::kFloat64).contiguous();
  const auto xs = x.accessor<double, 2>(), ys = y.accessor<double, 2>();
  double sum = 0;
  int64_t count = 0;
  for (int64_t r = 0; r + 11 <= x.size(0); ++r) {
    for (int64_t c = 0; c + 11 <= x.size(1); ++c, ++count) {
      double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
      for (int i = 0; i < 11; ++i) {
        for (int j = 0; j < 11; ++j) {
          const double w = weights[i][j] / total, u = xs[r + i][c + j], v = ys[r + i][c + j];
          mx += w * u, my += w * v, xx += w * u * u, yy += w * v * v, xy += w * u * v;
        }
      }
      sum += (2 * mx * my + c1) * (2 * (xy - mx * my) + c2) / ((mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2));
    }
  }
  return sum / static_cast<double>(count);
}

TEST(Ssim, MatchesTheDefinition) {
  const auto a = picture(2), b = (a + 0.2 * picture(3) - 0.1).clamp(0, 1).mul(255).round().div(255);
  double expected = 0;
  for (int64_t channel = 0; channel < 3; ++channel) expected += plain_ssim(a[channel] * 255, b[channel] * 255) / 3;
  EXPECT_NEAR(ssim(a, b, {.protocol = "basicsr", .channel = "rgb", .crop = 0}), expected, 1e-7);
}

TEST(PsnrSsim, ImpossibleInputsAreRefused) {
  EXPECT_THROW_MESSAGE(psnr(picture(1), picture(1, 40, 40)), UsageError, AllOf(HasSubstr("36x40"), HasSubstr("40x40")));
  EXPECT_THROW_MESSAGE(ssim(picture(1, 19, 40), picture(2, 19, 40)), UsageError, HasSubstr("too small"));
  for (const int64_t crop : {int64_t{18}, int64_t{1} << 62, std::numeric_limits<int64_t>::max()}) {
    EXPECT_THROW_MESSAGE(psnr(picture(1), picture(2), {.crop = crop}), UsageError, HasSubstr("too small"));
    EXPECT_THROW_MESSAGE(ssim(picture(1), picture(2), {.crop = crop}), UsageError, HasSubstr("too small"));
  }
  EXPECT_NO_THROW(ssim(picture(1, 20, 40), picture(2, 20, 40)));
  EXPECT_THROW_MESSAGE(psnr(picture(1), picture(1), {.protocol = "basicr"}), UsageError, HasSubstr("did you mean 'basicsr'"));
  EXPECT_THROW(psnr(picture(1), picture(1), {.channel = "v"}), UsageError);
}

TEST(PsnrSsim, ProtocolIsNamed) {
  EXPECT_EQ(describe(PsnrSsimOptions{}), "lpnsr, Y, crop 4");
  EXPECT_EQ(describe(PsnrSsimOptions{.protocol = "pyiqa", .channel = "rgb"}), "pyiqa, RGB, crop 0");
}

TEST(Metrics, ByName) {
  const auto metrics = make_metrics(split_names("psnr, ssim"), {});
  ASSERT_EQ(metrics.size(), 2u);
  const auto a = picture(4), b = picture(5);
  EXPECT_EQ(metrics[0].score(a, b), psnr(a, b));
  EXPECT_EQ(metrics[1].score(a, b), ssim(a, b));
  EXPECT_THAT(split_names("psnr,ssim"), ElementsAre("psnr", "ssim"));
  EXPECT_THROW(split_names("psnr,,ssim"), UsageError);
  EXPECT_THROW_MESSAGE(make_metrics({"psnr", "psnr"}, {}), UsageError, HasSubstr("twice"));
  EXPECT_THROW_MESSAGE(make_metric("lpips.alx", {}), UsageError, HasSubstr("did you mean 'lpips.alex'"));
}

TEST(Metrics, OptionsStandBehindTheName) {
  const auto metrics = make_metrics({"psnr", "psnr:protocol=pyiqa:channel=rgb"}, {});
  const auto a = picture(4), b = picture(5);
  EXPECT_EQ(metrics[1].name, "psnr:protocol=pyiqa:channel=rgb");
  EXPECT_EQ(metrics[1].protocol, "pyiqa, RGB, crop 0");
  EXPECT_EQ(metrics[1].score(a, b), psnr(a, b, {.protocol = "pyiqa", .channel = "rgb"}));
  EXPECT_THROW_MESSAGE(make_metric("psnr:chanel=rgb", {}), UsageError, HasSubstr("channel"));
  EXPECT_THROW_MESSAGE(make_metric("psnr:protocol=basicr", {}), UsageError, HasSubstr("basicsr"));
}

TEST(Metrics, EveryDescriptionIsComplete) {
  for (const auto& description : metric_descriptions()) {
    EXPECT_FALSE(description.label.empty()) << description.name;
    EXPECT_NE(description.prepare, nullptr) << description.name;
    for (const auto& file : description.files) EXPECT_FALSE(published_file(file).what.empty());
  }
}

TEST(Metrics, ValuesThatAreNoPictureAreRefused) {
  const auto metric = make_metric("psnr", {});
  auto broken = picture(1);
  broken[0][3][3] = std::nan("");
  EXPECT_THROW_MESSAGE(metric.score(broken, picture(1)), UsageError, HasSubstr("NaN"));
  EXPECT_THROW_MESSAGE(metric.score(torch::zeros({1, 20, 20}), torch::zeros({1, 20, 20})), UsageError, HasSubstr("[3,H,W]"));
}

TEST(Metrics, EveryMissingFileIsNamed) {
  const testing::TemporaryFolder folder;
  MetricOptions options;
  options.weights = folder.path();
  for (const auto& description : metric_descriptions()) {
    for (const auto& file : description.files) EXPECT_THROW_MESSAGE(make_metric(description.name, options), Error, HasSubstr(file));
  }
}

TEST(Metrics, MissingWeightsListTheFiles) {
  const testing::TemporaryFolder folder;
  MetricOptions options;
  options.weights = folder.path();
  EXPECT_THROW_MESSAGE(make_metric("lpips", options), Error,
                       AllOf(HasSubstr("alexnet-owt-7be5be79.pth"), HasSubstr("LPIPS_v0.1_alex-df73285e.pth")));
}

}  // namespace
}  // namespace lpnsr
