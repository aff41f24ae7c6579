#include "core/resize.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::synthetic_tensor;

TEST(Resize, KeepsConstants) {
  const auto flat = torch::full({3, 12, 20}, 0.37);
  EXPECT_TRUE(close(resize_bicubic(flat, 31, 9), torch::full({3, 31, 9}, 0.37), 1e-6, 0));
  EXPECT_TRUE(close(resize_bicubic(flat, 5, 9, true), torch::full({3, 5, 9}, 0.37), 1e-6, 0));
  EXPECT_TRUE(close(resize_matlab(flat, 0.25), torch::full({3, 3, 5}, 0.37), 1e-6, 0));
  EXPECT_TRUE(close(resize_area(flat, 5, 7), torch::full({3, 5, 7}, 0.37), 1e-6, 0));
}

TEST(ResizeMatlab, ReproducesLinesAwayFromTheBorder) {
  const auto line = torch::arange(40, torch::kFloat32).expand({1, 8, 40}).contiguous() / 40;
  const auto want = ((torch::arange(160, torch::kFloat32) + 0.5) / 4 - 0.5) / 40;
  EXPECT_TRUE(close(resize_matlab(line, 4.0)[0][16].slice(0, 16, 144), want.slice(0, 16, 144), 1e-6, 0));
}

TEST(Resize, BatchesAndSinglesAgree) {
  const auto batch = synthetic_tensor("resize", "batch", {2, 3, 10, 12});
  EXPECT_TRUE(torch::equal(resize_bicubic_scale(batch, 4)[1], resize_bicubic_scale(batch[1], 4)));
  EXPECT_TRUE(close(resize_matlab(batch, 0.5)[1], resize_matlab(batch[1], 0.5), 1e-6, 0));
  EXPECT_TRUE(torch::equal(resize_area(batch, 5, 6)[0], resize_area(batch[0], 5, 6)));
}

TEST(ResizeMatlab, OutputSizeIsRoundedUp) {
  const auto image = synthetic_tensor("resize", "odd", {1, 7, 9});
  EXPECT_EQ(resize_matlab(image, 0.25).sizes(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(resize_matlab(image, 1.5).sizes(), (std::vector<int64_t>{1, 11, 14}));
}

TEST(ResizeMatlab, SmallerThanItsFilter) {
  const auto image = torch::full({1, 2, 3}, 0.6);
  EXPECT_TRUE(close(resize_matlab(image, 0.25), torch::full({1, 1, 1}, 0.6), 1e-6, 0));
}

TEST(ResizeArea, AveragesBlocks) {
  const auto image = torch::arange(16, torch::kFloat32).reshape({1, 4, 4});
  EXPECT_TRUE(close(resize_area(image, 2, 2), torch::tensor({2.5, 4.5, 10.5, 12.5}).reshape({1, 2, 2}), 1e-6, 0));
}

}  // namespace
}  // namespace lpnsr
