#include "core/error.h"
#include "degradation/degrade.h"
#include "degradation/tensor_chain.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;

at::Tensor smooth_pictures(int64_t count, int64_t side) {
  const auto coarse = lpnsr::testing::synthetic_tensor("tensor_chain", "pictures", {count, 3, 9, 11}, 0.4, 0.5);
  return torch::upsample_bilinear2d(coarse, {side, side}, false).clamp(0, 1).contiguous();
}

// Without noise both forms of the chain give the same picture, but for ties of the quantisation.
void expect_same_without_noise(std::vector<DegradationParameters> parameters, const std::string& where) {
  for (auto& p : parameters) {
    p.first.noise = p.second.noise = "gaussian";
    p.first.noise_level = p.second.noise_level = 0;
  }
  const auto hr = smooth_pictures(static_cast<int64_t>(parameters.size()), 96);
  const auto batch = degrade_batch(hr, parameters);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto alone = degrade(hr[static_cast<int64_t>(i)], parameters[i]), got = batch[static_cast<int64_t>(i)];
    ASSERT_EQ(got.sizes(), alone.sizes());
    EXPECT_LE((got - alone).abs().mean().item<double>(), 1e-3) << where << " " << i;
    EXPECT_GE(((got - alone).abs() < 1e-5).to(torch::kFloat).mean().item<double>(), 0.9) << where << " " << i;
  }
}

TEST(TensorChain, EqualsThePlanesWithoutNoise) {
  for (const std::string flavour : {"resshift", "lpnsr", "realesrgan"}) {
    for (const std::string jpeg : {"differentiable", "none"}) {
      DegradationOptions options;
      options.flavour = flavour, options.jpeg = jpeg;
      RandomStream stream(3);
      std::vector<DegradationParameters> each;
      for (int i = 0; i < 12; ++i) each.push_back(draw_parameters(options, stream));
      expect_same_without_noise(each, flavour + " " + jpeg + " drawn alone");
      for (int i = 0; i < 4; ++i) expect_same_without_noise(draw_batch(options, 3, stream), flavour + " " + jpeg + " drawn together");
    }
  }
}

// Both forms draw their noise from the same law.
TEST(TensorChain, NoiseHasTheSameDeviation) {
  for (const std::string flavour : {"resshift", "lpnsr"}) {
    for (const std::string kind : {"gaussian", "poisson"}) {
      for (const bool gray : {false, true}) {
        DegradationParameters p;
        p.flavour = flavour, p.jpeg = "none", p.scale = 1;
        p.first.noise = kind, p.first.noise_level = kind == "gaussian" ? 20.0 : 2.0, p.first.gray_noise = gray;
        const auto hr = torch::full({1, 3, 128, 128}, 0.5) + 0.1 * torch::linspace(-1, 1, 128);
        const auto batch = degrade_batch(hr, std::vector{p})[0] - hr[0], alone = degrade(hr[0], p) - hr[0];
        const std::string where = flavour + " " + kind + (gray ? " gray" : " colour");
        EXPECT_NEAR(batch.std().item<double>() / alone.std().item<double>(), 1.0, 0.04) << where;
        EXPECT_NEAR((batch[0] * batch[1]).mean().item<double>(), (alone[0] * alone[1]).mean().item<double>(),
                    0.05 * alone.var().item<double>())
            << where;  // between the channels
      }
    }
  }
}

TEST(TensorChain, SameDrawsForTheSameBatch) {
  RandomStream stream(5);
  const auto parameters = draw_batch({}, 4, stream);
  const auto hr = smooth_pictures(4, 64);
  EXPECT_TRUE(torch::equal(degrade_batch(hr, parameters), degrade_batch(hr, parameters)));
}

TEST(TensorChain, SmallPicturesAndQuality100) {
  RandomStream stream(6);
  for (int i = 0; i < 20; ++i) {
    auto p = draw_parameters({}, stream);
    p.first.jpeg_quality = p.second.jpeg_quality = 100;
    const auto lr = degrade_batch(smooth_pictures(1, 8), std::vector{p});
    EXPECT_EQ(lr.sizes(), (std::vector<int64_t>{1, 3, 2, 2}));
    EXPECT_FALSE(lr.isnan().any().item<bool>());
  }
}

TEST(TensorChain, ACodecIsRefused) {
  DegradationParameters p;
  p.jpeg = "codec";
  EXPECT_THROW_MESSAGE(degrade_batch(smooth_pictures(1, 16), std::vector{p}), UsageError, ::testing::HasSubstr("on the CPU only"));
}

}  // namespace
}  // namespace lpnsr
