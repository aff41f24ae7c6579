// Bicubic resizing as PyTorch, OpenCV and MATLAB do it: goldens/diffusion, ops_resize.
#include "core/resize.h"
#include "tests/support/reference.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::load_case;
using lpnsr::testing::ReferenceCase;

void expect_case(const ReferenceCase& reference, const std::string& name, const at::Tensor& got) {
  at::Tensor want = reference.at(name);
  if (want.dim() == 3) want = want.permute({2, 0, 1}).unsqueeze(0);
  const bool matlab = name.starts_with("matlab/");
  const auto [atol, rtol] = reference.tolerance(matlab ? "matlab" : name);
  EXPECT_TRUE(close(got, want, atol, rtol)) << name;
}

TEST(ReferenceResize, EveryFlavour) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = load_case("diffusion/ops_resize");
  const auto image = lpnsr::testing::picture_of_bytes(reference.at("image_u8")).unsqueeze(0);
  expect_case(reference, "torch/up4", resize_bicubic_scale(image, 4));
  expect_case(reference, "torch/down4", resize_bicubic(image, 7, 5));
  expect_case(reference, "torch/down4_antialias", resize_bicubic(image, 7, 5, true));
  expect_case(reference, "torch/up_to_37x33", resize_bicubic(image, 37, 33));
  expect_case(reference, "cv2/up4", resize_bicubic_scale(image, 4));
  expect_case(reference, "cv2/down4", resize_bicubic(image, 7, 5));
  expect_case(reference, "matlab/up4", resize_matlab(image, 4.0));
  expect_case(reference, "matlab/down4", resize_matlab(image, 0.25));
  expect_case(reference, "matlab/up1.5", resize_matlab(image, 1.5));
  expect_case(reference, "matlab/down2_of_26x18", resize_matlab(image.slice(2, 0, 26).slice(3, 0, 18), 1.0 / 2));
  expect_case(reference, "matlab/down3_of_24x18", resize_matlab(image.slice(2, 0, 24).slice(3, 0, 18), 1.0 / 3));
  expect_case(reference, "matlab/down3_of_28x20", resize_matlab(image, 1.0 / 3));

  const auto levels = (resize_bicubic_scale(image, 4) * 255.0).round().clamp(0, 255)[0].permute({1, 2, 0});
  EXPECT_TRUE(close(levels, reference.at("cv2/up4_u8"), 1.0, 0.0));
}

}  // namespace
}  // namespace lpnsr
