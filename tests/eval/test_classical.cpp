// NIQE and NRQM on pictures that are no photographs, and the planes under them.
#include "core/error.h"
#include "core/resize.h"
#include "eval/niqe.h"
#include "eval/nrqm.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::HasSubstr;

NiqePristine plain_pristine() { return {torch::ones({36}, at::kDouble), torch::eye(36, at::kDouble)}; }

NrqmModel constant_model(double value) {
  NrqmModel model;
  for (auto& forest : model.forests) forest.trees = {{ForestNode{.prediction = value}}};
  model.linear = {1, 2, 3, 4};
  return model;
}

TEST(Planes, ResizedEqualsTheMatrixForm) {
  torch::manual_seed(1);
  const auto picture = torch::rand({1, 37, 50}, at::kDouble);
  const auto want = resize_matlab(picture, 0.5)[0];
  const auto got = tensor_of(resized(plane_of(picture[0]), want.size(0), want.size(1), 0.5, 0.5));
  EXPECT_TRUE(torch::allclose(got, want, 0, 1e-12));
}

TEST(Planes, LumaOfOneColour) {
  const auto white = torch::ones({3, 4, 4});
  EXPECT_EQ(rounded_luma(white, LumaKind::yiq, 0, 1, "x").row(0)[0], 255.0);
  EXPECT_EQ(rounded_luma(white, LumaKind::bt601, 1, 1, "x").row(0)[0], 235.0);
  EXPECT_EQ(rounded_luma(white * 0, LumaKind::bt601, 0, 1, "x").row(3)[3], 16.0);
}

TEST(Niqe, PicturesThatAreTooSmallAreRefused) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {7, 7}, {95, 97}, {400, 95}})
    EXPECT_THROW_MESSAGE(niqe(torch::rand({3, height, width}), plain_pristine()), UsageError, HasSubstr("96 pixels a side"));
  EXPECT_THROW_MESSAGE(niqe(torch::rand({3, 100, 100}), plain_pristine(), {.crop = 4}), UsageError, HasSubstr("104 pixels a side"));
  EXPECT_THROW_MESSAGE(niqe(torch::rand({3, 120, 120}), plain_pristine(), {.flavour = "basicsr"}), UsageError, HasSubstr("two blocks"));
  EXPECT_TRUE(std::isfinite(niqe(torch::rand({3, 96, 96}), plain_pristine())));
}

TEST(Niqe, FlatPicturesHaveNoValue) {
  for (const double level : {0.0, 0.5, 1.0}) EXPECT_TRUE(std::isnan(niqe(torch::full({3, 200, 100}, level), plain_pristine()))) << level;
}

TEST(Niqe, FeaturesOfGaussianNoise) {
  // The shape of a Gaussian is 2, and its products are symmetric.
  torch::manual_seed(2);
  const auto noise = (torch::randn({96, 96}, at::kDouble) * 20 + 128).round();
  const auto features = niqe_features(plane_of(noise), {});
  EXPECT_NEAR(features[0][0].item<double>(), 2.0, 0.6);
  for (int64_t pair = 0; pair < 4; ++pair) {
    const auto left = features[0][4 + 4 * pair].item<double>(), right = features[0][5 + 4 * pair].item<double>();
    EXPECT_NEAR(left / right, 1.0, 0.2) << pair;
  }
}

TEST(Nrqm, PicturesThatAreTooSmallAreRefused) {
  const auto model = constant_model(1);
  for (const int64_t side : {1, 7, 44})
    EXPECT_THROW_MESSAGE(nrqm(torch::rand({3, side, 97}), model), UsageError, HasSubstr("45 pixels a side"));
  EXPECT_EQ(nrqm(torch::rand({3, 45, 45}), model), 10.0);
}

TEST(Nrqm, FlatAndExtremePicturesEndWell) {
  const auto model = constant_model(1);
  EXPECT_EQ(nrqm(torch::zeros({3, 64, 80}), model), 10.0);
  EXPECT_EQ(nrqm(torch::ones({3, 45, 400}), model), 10.0);
}

TEST(RandomForest, GoesLeftUpToTheThreshold) {
  RandomForest forest;
  forest.trees = {
      {ForestNode{.left = 1, .right = 2, .feature = 1, .threshold = 5}, ForestNode{.prediction = 10}, ForestNode{.prediction = 20}},
      {ForestNode{.prediction = 2}}};
  EXPECT_EQ(forest.predict(std::vector<double>{9, 5}), 6.0);
  EXPECT_EQ(forest.predict(std::vector<double>{0, 5.1}), 11.0);
}

}  // namespace
}  // namespace lpnsr
