#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// `size` bytes that do not compress to nothing, with what readers look at in the header.
std::string profile(const std::string& space, size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(size >> (24 - 8 * i) & 0xFF);
  bytes.replace(16, 4, space);
  bytes.replace(36, 4, "acsp");
  return bytes;
}

Image coloured(int64_t height, int64_t width) {
  Image image;
  image.rgb = (synthetic_tensor("profile", "rgb", {3, height, width}, 0.5, 0.5) * 255).round() / 255;
  return image;
}

at::Tensor plane(int64_t height, int64_t width) {
  return (synthetic_tensor("profile", "plane", {1, height, width}, 0.5, 0.5) * 255).round() / 255;
}

class ColourProfiles : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(ColourProfiles, SurviveInEveryFormatThatHasThem) {
  auto image = coloured(13, 18);
  // 200,000 bytes: several segments of a JPEG.
  for (const size_t size : {132, 3145, 200'000}) {
    image.icc_profile = profile("RGB ", size);
    for (const std::string name : {"a.png", "a.jpg", "a.webp", "a.tiff"}) {
      write_image(folder_ / name, image);
      const auto read = read_image(folder_ / name);
      EXPECT_EQ(read.icc_profile, image.icc_profile) << name << " " << size;
      EXPECT_TRUE(name == "a.jpg" || torch::equal(read.rgb, image.rgb)) << name;
      EXPECT_FALSE(cv::imread((folder_ / name).string()).empty()) << name;
    }
  }
}

TEST_F(ColourProfiles, SurviveBesideTransparencyAndDepth) {
  auto image = coloured(9, 7);
  image.alpha = plane(9, 7);
  image.icc_profile = profile("RGB ", 560);
  for (const std::string name : {"a.png", "a.webp", "a.tiff"}) {
    write_image(folder_ / name, image);
    const auto read = read_image(folder_ / name);
    EXPECT_EQ(read.icc_profile, image.icc_profile) << name;
    ASSERT_TRUE(read.alpha.defined()) << name;
    EXPECT_TRUE(torch::equal(read.alpha, image.alpha)) << name;
  }
  image.bit_depth = 16;
  for (const std::string name : {"a.png", "a.tiff"}) {
    write_image(folder_ / name, image);
    EXPECT_EQ(read_image(folder_ / name).icc_profile, image.icc_profile) << name;
    EXPECT_EQ(read_image(folder_ / name).bit_depth, 16) << name;
  }
}

TEST_F(ColourProfiles, ThoseOfOtherColoursAreLeftOut) {
  auto image = coloured(4, 4);
  for (const std::string wrong : {"CMYK", "GRAY"}) {
    image.icc_profile = profile(wrong, 200);
    write_image(folder_ / "a.png", image);
    EXPECT_EQ(read_image(folder_ / "a.png").icc_profile, "") << wrong;
  }
  Image gray;
  gray.rgb = plane(4, 4);
  gray.gray = true;
  gray.icc_profile = profile("GRAY", 200);
  for (const std::string name : {"a.png", "a.jpg", "a.tiff"}) {
    write_image(folder_ / name, gray);
    EXPECT_EQ(read_image(folder_ / name).icc_profile, gray.icc_profile) << name;
  }
  gray.icc_profile = "no profile";
  write_image(folder_ / "a.png", gray);
  EXPECT_EQ(read_image(folder_ / "a.png").icc_profile, "");
}

TEST_F(ColourProfiles, DamagedOnesDoNotKeepThePictureFromBeingRead) {
  auto image = coloured(4, 4);
  image.icc_profile = profile("RGB ", 70'000);
  write_image(folder_ / "a.jpg", image);
  std::string bytes = read_file(folder_ / "a.jpg");
  bytes[bytes.find("ICC_PROFILE") + 13] = 7;  // seven parts, of which five are missing
  write_text(folder_ / "a.jpg", bytes);
  EXPECT_EQ(read_image(folder_ / "a.jpg").icc_profile, "");
  EXPECT_EQ(read_image(folder_ / "a.jpg").height(), 4);
}

TEST_F(ColourProfiles, GrayWithTransparencyStaysGray) {
  Image image;
  image.rgb = plane(6, 5);
  image.gray = true;
  image.alpha = 1 - plane(6, 5);
  image.icc_profile = profile("GRAY", 300);
  for (const int64_t depth : {8, 16}) {
    image.bit_depth = depth;
    write_image(folder_ / "ga.png", image);
    EXPECT_EQ(read_file(folder_ / "ga.png")[25], 4);  // PNG's colour type: gray with alpha
    const auto read = read_image(folder_ / "ga.png");
    EXPECT_TRUE(read.gray);
    EXPECT_EQ(read.bit_depth, depth);
    EXPECT_TRUE(torch::allclose(read.rgb, image.rgb.expand({3, -1, -1}), 0, 1e-6));
    EXPECT_TRUE(torch::allclose(read.alpha, image.alpha, 0, 1e-6));
    EXPECT_EQ(read.icc_profile, image.icc_profile);
  }
}

TEST_F(ColourProfiles, RowsGiveTheSameFileAsTheWhole) {
  auto image = coloured(50, 41);
  image.alpha = plane(50, 41);
  image.icc_profile = profile("RGB ", 400);
  const ImageLayout layout{50, 41, 8, false, true, image.icc_profile};
  for (const std::string name : {"a.png", "a.webp", "a.tiff"}) {
    write_image(folder_ / name, image);
    write_image_rows(folder_ / ("rows_" + name), layout, Rounding::nearest, [&](const TakeRows& take) {
      int64_t top = 0;
      for (const int64_t count : {1, 17, 30, 2}) {
        take(image.rgb.slice(1, top, top + count), image.alpha.slice(1, top, top + count));
        top += count;
      }
    });
    EXPECT_TRUE(same_bytes(folder_ / name, folder_ / ("rows_" + name)));
  }
}

TEST_F(ColourProfiles, ARowWriterThatFailsLeavesNothing) {
  write_image(folder_ / "a.png", coloured(3, 3));
  const std::string before = read_file(folder_ / "a.png");
  EXPECT_THROW(write_image_rows(folder_ / "a.png", {8, 8}, Rounding::nearest,
                                [](const TakeRows& take) {
                                  take(torch::zeros({3, 2, 8}), {});
                                  throw Error("out of patience");
                                }),
               Error);
  EXPECT_EQ(read_file(folder_ / "a.png"), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST(CheckWritable, SaysWhichFormatTakesLargePictures) {
  EXPECT_NO_THROW(check_writable("a.png", 100'000, 100'000));
  EXPECT_NO_THROW(check_writable("a.webp", 16383, 5));
  EXPECT_THROW_MESSAGE(check_writable("a.webp", 5, 16384), Error, HasSubstr("16383"));
  EXPECT_THROW_MESSAGE(check_writable("a.jpg", 70'000, 5), Error, HasSubstr(".tiff"));
  EXPECT_THROW_MESSAGE(check_writable("a.gif", 5, 5), UsageError, HasSubstr(".png"));
}

}  // namespace
}  // namespace lpnsr::testing
