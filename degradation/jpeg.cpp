#include "degradation/jpeg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <opencv2/imgcodecs.hpp>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr int kSide = 8;
using Block = std::array<float, kSide * kSide>;

// Annex K of the JPEG standard, rows are vertical frequencies.
constexpr std::array<int, 64> kLumaTable = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  //
                                            14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,  //
                                            18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,  //
                                            49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr std::array<int, 16> kChromaCorner = {17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99};  // 99 elsewhere

Block luma_table() {
  Block table;
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) table[i * 8 + j] = static_cast<float>(kLumaTable[j * 8 + i]);
  }
  return table;
}

Block chroma_table() {
  Block table;
  table.fill(99.0F);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) table[i * 8 + j] = static_cast<float>(kChromaCorner[i * 4 + j]);
  }
  return table;
}

// Rows are the orthonormal cosine functions.
Block cosine_matrix() {
  Block matrix;
  for (size_t u = 0; u < 8; ++u) {
    const double norm = u == 0 ? std::sqrt(0.125) : 0.5;
    for (size_t x = 0; x < 8; ++x) {
      matrix[u * 8 + x] = static_cast<float>(norm * std::cos(static_cast<double>((2 * x + 1) * u) * std::numbers::pi / 16.0));
    }
  }
  return matrix;
}

Block transposed(const Block& matrix) {
  Block result;
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) result[j * 8 + i] = matrix[i * 8 + j];
  }
  return result;
}

void multiply(const Block& a, const Block& b, Block& out) {
  for (size_t i = 0; i < 8; ++i) {
    float row[8] = {};
    for (size_t k = 0; k < 8; ++k) {
      const float factor = a[i * 8 + k];
      for (size_t j = 0; j < 8; ++j) row[j] += factor * b[k * 8 + j];
    }
    std::copy(row, row + 8, out.begin() + static_cast<std::ptrdiff_t>(i * 8));
  }
}

double table_factor(double quality) { return quality < 50.0 ? 50.0 / quality : 2.0 - quality / 50.0; }

// Transforms, quantises and restores each 8x8 block of a plane whose sides are multiples of 8; values in 0..255.
void quantise_plane(float* plane, int64_t height, int64_t width, Block table, double factor) {
  static const Block forward = cosine_matrix(), inverse = transposed(forward);
  if (factor <= 0.0) return;  // quality 100: tables of zero
  for (float& entry : table) entry *= static_cast<float>(factor);
  Block block, half;
  for (int64_t top = 0; top < height; top += kSide) {
    for (int64_t left = 0; left < width; left += kSide) {
      float* corner = plane + top * width + left;
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) block[static_cast<size_t>(y * kSide + x)] = corner[y * width + x] - 128.0F;
      }
      multiply(forward, block, half);
      multiply(half, inverse, block);
      for (size_t i = 0; i < block.size(); ++i) block[i] = std::nearbyint(block[i] / table[i]) * table[i];
      multiply(inverse, block, half);
      multiply(half, forward, block);
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) corner[y * width + x] = block[static_cast<size_t>(y * kSide + x)] + 128.0F;
      }
    }
  }
}

}  // namespace

Planes compress_differentiable(const Planes& picture, double quality) {
  constexpr int64_t kUnit = 16;
  const int64_t height = (picture.height + kUnit - 1) / kUnit * kUnit, width = (picture.width + kUnit - 1) / kUnit * kUnit;
  const int64_t half_height = height / 2, half_width = width / 2;
  Planes luma(1, height, width), chroma(2, half_height, half_width);
  std::fill_n(chroma.values.data(), chroma.values.size(), 0.0F);
  for (int64_t y = 0; y < height; ++y) {
    const bool inside = y < picture.height;
    for (int64_t x = 0; x < width; ++x) {
      const bool pixel = inside && x < picture.width;  // zeros fill the last units
      const float r = pixel ? picture.row(0, y)[x] * 255.0F : 0.0F, g = pixel ? picture.row(1, y)[x] * 255.0F : 0.0F,
                  b = pixel ? picture.row(2, y)[x] * 255.0F : 0.0F;
      luma.row(0, y)[x] = 0.299F * r + 0.587F * g + 0.114F * b;
      chroma.row(0, y / 2)[x / 2] += 0.25F * (-0.168736F * r - 0.331264F * g + 0.5F * b + 128.0F);
      chroma.row(1, y / 2)[x / 2] += 0.25F * (0.5F * r - 0.418688F * g - 0.081312F * b + 128.0F);
    }
  }
  const double factor = table_factor(quality);
  quantise_plane(luma.plane(0), height, width, luma_table(), factor);
  quantise_plane(chroma.plane(0), half_height, half_width, chroma_table(), factor);
  quantise_plane(chroma.plane(1), half_height, half_width, chroma_table(), factor);

  Planes result(3, picture.height, picture.width);
  const auto unit_range = [](float value) { return std::clamp(value, 0.0F, 255.0F) / 255.0F; };
  for (int64_t y = 0; y < picture.height; ++y) {
    const float* cb_row = chroma.row(0, y / 2);
    const float* cr_row = chroma.row(1, y / 2);
    for (int64_t x = 0; x < picture.width; ++x) {
      const float brightness = luma.row(0, y)[x], cb = cb_row[x / 2] - 128.0F, cr = cr_row[x / 2] - 128.0F;
      result.row(0, y)[x] = unit_range(brightness + 1.402F * cr);
      result.row(1, y)[x] = unit_range(brightness - 0.344136F * cb - 0.714136F * cr);
      result.row(2, y)[x] = unit_range(brightness + 1.772F * cb);
    }
  }
  return result;
}

Planes compress_codec(const Planes& picture, double quality) {
  const int height = static_cast<int>(picture.height), width = static_cast<int>(picture.width);
  cv::Mat pixels(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    auto* row = pixels.ptr<cv::Vec3b>(y);
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) row[x][2 - c] = cv::saturate_cast<uchar>(std::nearbyint(picture.row(c, y)[x] * 255.0F));
    }
  }
  std::vector<uchar> bytes;
  const int setting = std::clamp(static_cast<int>(std::lround(quality)), 1, 100);
  if (!cv::imencode(".jpg", pixels, bytes, {cv::IMWRITE_JPEG_QUALITY, setting})) throw Error("JPEG: the picture cannot be encoded");
  const cv::Mat decoded = cv::imdecode(bytes, cv::IMREAD_COLOR);
  Planes result(3, picture.height, picture.width);
  for (int y = 0; y < height; ++y) {
    const auto* row = decoded.ptr<cv::Vec3b>(y);
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) result.row(c, y)[x] = static_cast<float>(row[x][2 - c]) / 255.0F;
    }
  }
  return result;
}

}  // namespace lpnsr
