#include <gmock/gmock.h>

#include "eval/test_crops.h"

namespace lpnsr {
namespace {

TEST(BusiestCrop, FindsTheTexture) {
  at::Tensor picture = torch::full({3, 64, 96}, 0.5F);
  const at::Tensor checks = (torch::arange(16).unsqueeze(0) + torch::arange(16).unsqueeze(1)) % 2;
  picture.slice(1, 32, 48).slice(2, 48, 64).copy_(checks);
  EXPECT_TRUE(busiest_crop(picture, 16).equal(picture.slice(1, 32, 48).slice(2, 48, 64)));
}

TEST(BusiestCrop, LeavesSmallPicturesAlone) {
  const at::Tensor picture = torch::rand({3, 8, 40});
  EXPECT_TRUE(busiest_crop(picture, 16).equal(picture));
}

TEST(Halved, AveragesTwoByTwoAndDropsAnOddLine) {
  const at::Tensor picture = torch::arange(2 * 5, torch::kFloat32).reshape({1, 2, 5}).expand({3, 2, 5});
  EXPECT_TRUE(at::allclose(halved(picture)[0][0], torch::tensor({3.0F, 5.0F})));
}

}  // namespace
}  // namespace lpnsr
