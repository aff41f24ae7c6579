#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using lpnsr::testing::close;
using lpnsr::testing::TemporaryFolder;
using lpnsr::testing::write_text;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A picture whose values are all multiples of 1/levels.
at::Tensor picture(int64_t channels, int64_t height, int64_t width, double levels = 255.0) {
  return (lpnsr::testing::synthetic_tensor("image", "picture", {channels, height, width}, 0.5, 0.5) * levels)
      .round()
      .div(levels)
      .to(torch::kFloat32);
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

uint32_t checksum(const std::string& bytes) {  // PNG's CRC-32, bit by bit
  uint32_t crc = 0xFFFFFFFFU;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1U ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(checksum(type + data));
}

class Images : public ::testing::Test {
 protected:
  TemporaryFolder folder;
};

TEST_F(Images, LosslessFormatsGiveBackTheirValues) {
  const auto rgb = picture(3, 13, 17);
  for (const std::string name : {"a.png", "a.webp", "a.tiff", "a.bmp", "a.PNG"}) {
    write_rgb(folder / name, rgb);
    const auto read = read_image(folder / name);
    EXPECT_TRUE(torch::equal(read.rgb, rgb)) << name;
    EXPECT_FALSE(read.alpha.defined()) << name;
    EXPECT_FALSE(read.gray) << name;
    EXPECT_EQ(read.bit_depth, 8) << name;
  }
}

TEST_F(Images, JpegIsNear) {
  const auto smooth = torch::linspace(0.1, 0.9, 64).expand({3, 48, 64}).contiguous();
  write_rgb(folder / "a.jpg", smooth);
  EXPECT_TRUE(close(read_image(folder / "a.jpg").rgb, smooth, 0.02, 0));
}

TEST_F(Images, SixteenBitsSurvive) {
  Image image{.rgb = picture(3, 9, 11, 65535.0), .alpha = {}, .bit_depth = 16};
  for (const std::string name : {"a.png", "a.tif"}) {
    write_image(folder / name, image);
    const auto read = read_image(folder / name);
    EXPECT_EQ(read.bit_depth, 16);
    EXPECT_TRUE(torch::equal(read.rgb, image.rgb));
  }
}

TEST_F(Images, GrayIsRepeatedAndStaysGrayInTheFile) {
  const auto gray = picture(1, 8, 9);
  write_rgb(folder / "g.png", gray);
  const auto read = read_image(folder / "g.png");
  EXPECT_TRUE(read.gray);
  EXPECT_TRUE(torch::equal(read.rgb, gray.expand({3, 8, 9})));
  write_image(folder / "h.png", read);
  EXPECT_TRUE(lpnsr::testing::same_bytes(folder / "h.png", folder / "g.png"));
}

TEST_F(Images, AlphaSurvives) {
  Image image{.rgb = picture(3, 8, 9), .alpha = picture(1, 8, 9)};
  write_image(folder / "a.png", image);
  const auto read = read_image(folder / "a.png");
  EXPECT_TRUE(torch::equal(read.rgb, image.rgb));
  EXPECT_TRUE(torch::equal(read.alpha, image.alpha));
  write_image(folder / "a.jpg", image);  // has no place for it
  EXPECT_FALSE(read_image(folder / "a.jpg").alpha.defined());
}

TEST_F(Images, GrayWithAlphaAndPaletteAreRead) {
  // Two pixels, gray 50 and 200 with alpha 255 and 10, in a stored deflate block.
  const std::string stored("\x78\x01\x01\x05\x00\xfa\xff\x00\x32\xff\xc8\x0a", 12);
  uint32_t a = 1, b = 0;
  for (const int byte : {0x00, 0x32, 0xff, 0xc8, 0x0a}) a = (a + static_cast<uint32_t>(byte)) % 65521, b = (b + a) % 65521;
  const std::string signature("\x89PNG\r\n\x1a\n", 8);
  const auto header = [](char type) { return png_chunk("IHDR", big_endian(2) + big_endian(1) + std::string({8, type, 0, 0, 0})); };
  write_text(folder / "ga.png", signature + header(4) + png_chunk("IDAT", stored + big_endian(b << 16 | a)) + png_chunk("IEND", ""));
  const auto gray = read_image(folder / "ga.png");
  EXPECT_TRUE(gray.gray);
  EXPECT_TRUE(close(gray.rgb, torch::tensor({50.0, 200.0}).expand({3, 1, 2}) / 255.0, 1e-7, 0));
  EXPECT_TRUE(close(gray.alpha, torch::tensor({255.0, 10.0}).reshape({1, 1, 2}) / 255.0, 1e-7, 0));

  const std::string indices("\x78\x01\x01\x03\x00\xfc\xff\x00\x01\x00\x00\x05\x00\x02", 14);  // filter 0, then entries 1 and 0
  const std::string palette("\x0a\x14\x1e\xff\x80\x00", 6);
  write_text(folder / "p.png", signature + header(3) + png_chunk("PLTE", palette) + png_chunk("IDAT", indices) + png_chunk("IEND", ""));
  const auto coloured = read_image(folder / "p.png");
  EXPECT_TRUE(close(coloured.rgb.select(2, 0).flatten(), torch::tensor({255.0, 128.0, 0.0}) / 255.0, 1e-7, 0));
  EXPECT_TRUE(close(coloured.rgb.select(2, 1).flatten(), torch::tensor({10.0, 20.0, 30.0}) / 255.0, 1e-7, 0));
}

TEST_F(Images, ExifOrientationIsApplied) {
  const auto rgb = picture(3, 4, 6);
  const std::string png = encode_png(rgb);
  // What the stored picture must undergo to stand upright, by EXIF 2.32, table 6.
  const std::vector<std::function<at::Tensor(at::Tensor)>> upright = {
      [](const at::Tensor& t) { return t; },
      [](const at::Tensor& t) { return t.flip(2); },
      [](const at::Tensor& t) {
        return torch::rot90(t, 2, {1, 2});
      },
      [](const at::Tensor& t) { return t.flip(1); },
      [](const at::Tensor& t) { return t.transpose(1, 2); },
      [](const at::Tensor& t) {
        return torch::rot90(t, -1, {1, 2});
      },
      [](const at::Tensor& t) {
        return torch::rot90(t, 2, {1, 2}).transpose(1, 2);
      },
      [](const at::Tensor& t) {
        return torch::rot90(t, 1, {1, 2});
      },
  };
  for (char orientation = 1; orientation <= 8; ++orientation) {
    const std::string exif = std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + orientation + std::string(7, '\0');
    write_text(folder / "turned.png", png.substr(0, 33) + png_chunk("eXIf", exif) + png.substr(33));
    const auto want = upright[static_cast<size_t>(orientation - 1)](rgb);
    EXPECT_TRUE(torch::equal(read_image(folder / "turned.png").rgb, want.contiguous())) << int{orientation};

    std::vector<unsigned char> encoded;
    cv::imencode(".jpg", cv::Mat(16, 32, CV_8UC3, cv::Scalar(10, 20, 200)), encoded);
    const std::string jpeg(encoded.begin(), encoded.end());
    const std::string segment = std::string(
                                    "\xFF\xE1\x00\x22"
                                    "Exif\0\0",
                                    10) +
                                exif;
    write_text(folder / "turned.jpg", jpeg.substr(0, 2) + segment + jpeg.substr(2));
    EXPECT_EQ(read_image(folder / "turned.jpg").height(), orientation >= 5 ? 32 : 16) << int{orientation};
  }
}

TEST_F(Images, WhatIsNoImageIsRefusedByItsContent) {
  write_text(folder / "notes.png", "hello, world");
  EXPECT_THROW_MESSAGE(read_image(folder / "notes.png"), DataError,
                       AllOf(HasSubstr("notes.png: is not an image: it begins with"), HasSubstr("hello, world")));
  write_text(folder / "empty.png", "");
  EXPECT_THROW_MESSAGE(read_image(folder / "empty.png"), DataError, HasSubstr("empty.png: is empty"));
  EXPECT_THROW_MESSAGE(read_image(folder / "none.png"), DataError, HasSubstr("none.png: does not exist"));
  EXPECT_THROW_MESSAGE(read_image(folder.path()), DataError, HasSubstr("is a folder"));
}

TEST_F(Images, ContentDecidesNotTheName) {
  write_text(folder / "in_truth_a_png.jpg", encode_png(picture(3, 5, 6)));
  EXPECT_TRUE(torch::equal(read_image(folder / "in_truth_a_png.jpg").rgb, picture(3, 5, 6)));
}

TEST_F(Images, EveryTruncationIsRefused) {
  for (const std::string name : {"a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff"}) {
    write_rgb(folder / name, picture(3, 40, 50));
    const std::string bytes = read_file(folder / name);
    for (const double share : {0.001, 0.05, 0.5, 0.9, 0.99}) {
      write_text(folder / "cut", bytes.substr(0, static_cast<size_t>(static_cast<double>(bytes.size()) * share)));
      EXPECT_THROW(read_image(folder / "cut"), DataError) << name << " cut to " << share;
    }
  }
}

TEST_F(Images, DamagedPngIsRefused) {
  std::string bytes = encode_png(picture(3, 40, 50));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
  write_text(folder / "a.png", bytes);
  EXPECT_THROW_MESSAGE(read_image(folder / "a.png"), DataError, HasSubstr("is damaged: the checksum"));
}

TEST_F(Images, SizesThatCannotBeAreRefused) {
  const std::string png = encode_png(picture(3, 4, 4));
  const auto with_size = [&png](uint32_t width, uint32_t height) {
    return png.substr(0, 8) + png_chunk("IHDR", big_endian(width) + big_endian(height) + png.substr(24, 5)) + png.substr(33);
  };
  write_text(folder / "flat.png", with_size(4, 0));
  EXPECT_THROW_MESSAGE(read_image(folder / "flat.png"), DataError, HasSubstr("4 x 0 pixels"));
  write_text(folder / "huge.png", with_size(1'000'000'000, 1'000'000'000));
  EXPECT_THROW_MESSAGE(read_image(folder / "huge.png"), DataError, HasSubstr("1000000000 x 1000000000 pixels"));
  write_text(folder / "large.png", with_size(40'000, 25'000));
  EXPECT_THROW(read_image(folder / "large.png"), DataError);
}

TEST_F(Images, UnknownExtensionIsWrongUsage) {
  EXPECT_THROW_MESSAGE(write_rgb(folder / "a.gif", picture(3, 4, 4)), UsageError, HasSubstr(".png"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.gif"));
}

TEST_F(Images, WritingIsDeterministic) { EXPECT_EQ(encode_png(picture(3, 31, 33)), encode_png(picture(3, 31, 33))); }

TEST_F(Images, RoundingAndClamping) {
  const auto values = torch::tensor({-1.0, 0.0, 0.9999 / 255, 1.0, 7.0, 0.5 / 255 + 1e-6, std::nan("")}).reshape({1, 1, 7});
  const auto nearest = torch::tensor({0, 0, 1, 255, 255, 1, 0}, torch::kByte).reshape({1, 1, 7});
  const auto truncated = torch::tensor({0, 0, 0, 255, 255, 0, 0}, torch::kByte).reshape({1, 1, 7});
  EXPECT_TRUE(torch::equal(to_uint8(values), nearest));
  EXPECT_TRUE(torch::equal(to_uint8(values, Rounding::truncate), truncated));
  write_rgb(folder / "n.png", values);
  EXPECT_TRUE(torch::equal(read_image(folder / "n.png").rgb.narrow(0, 0, 1), nearest.to(torch::kFloat32) / 255));
  write_rgb(folder / "t.png", values, Rounding::truncate);
  EXPECT_TRUE(torch::equal(read_image(folder / "t.png").rgb.narrow(0, 0, 1), truncated.to(torch::kFloat32) / 255));
}

TEST(ImageGrid, PlacesRowByRowOnWhite) {
  const auto grid = image_grid({torch::zeros({3, 2, 3}), torch::full({3, 2, 3}, 0.5), torch::full({3, 2, 3}, 0.25)}, 2, 1);
  EXPECT_EQ(grid.sizes(), (std::vector<int64_t>{3, 5, 7}));
  EXPECT_EQ(grid[0][0][0].item<float>(), 0.0F);
  EXPECT_EQ(grid[0][0][3].item<float>(), 1.0F);
  EXPECT_EQ(grid[1][1][6].item<float>(), 0.5F);
  EXPECT_EQ(grid[2][4][2].item<float>(), 0.25F);
  EXPECT_EQ(grid[2][4][6].item<float>(), 1.0F);
}

TEST(Luma, HasTheStudioRange) {
  EXPECT_NEAR(luma_bt601(torch::zeros({3, 1, 1})).item<double>(), 16.0 / 255, 1e-7);
  EXPECT_NEAR(luma_bt601(torch::ones({3, 1, 1})).item<double>(), 235.0 / 255, 1e-4);  // the three weights sum to 219 less 0.02
  const auto red = torch::tensor({1.0, 0.0, 0.0}).reshape({3, 1, 1});
  EXPECT_NEAR(luma_bt601(red.unsqueeze(0)).item<double>(), (65.481 + 16) / 255, 1e-7);
}

}  // namespace
}  // namespace lpnsr
