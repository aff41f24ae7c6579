// NIQE and NRQM on pictures that are no photographs, and the planes under them.
#include "core/error.h"
#include "core/resize.h"
#include "eval/generalised_gaussian.h"
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

TEST(ShapeGrid, KnownDistributions) {
  // E[x²] / E[|x|]² is pi/2 for a Gaussian (shape 2) and 2 for a Laplacian (shape 1).
  const ShapeGrid falling(0.03, true), rising(0.2, false);
  EXPECT_NEAR(falling.shape(falling.nearest(std::acos(-1.0) / 2)), 2.0, 1e-9);
  EXPECT_NEAR(falling.shape(falling.nearest(2.0)), 1.0, 1e-9);
  const size_t gaussian = rising.nearest(2 / std::acos(-1.0));
  EXPECT_NEAR(rising.shape(gaussian), 2.0, 1e-9);
  EXPECT_NEAR(rising.spread(gaussian), std::sqrt(2.0), 1e-9);                // G(1/2) / G(3/2) = 2
  EXPECT_NEAR(rising.mean(gaussian), 1 / std::sqrt(std::acos(-1.0)), 1e-9);  // G(1) / G(1/2)
  EXPECT_EQ(falling.shape(falling.nearest(0)), falling.shape(falling.nearest(1.0)));
  EXPECT_EQ(rising.nearest(std::nan("")), 0u);
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
