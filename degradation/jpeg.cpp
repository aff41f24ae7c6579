#include "degradation/jpeg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "core/vectorised.h"
#include "degradation/jpeg_tables.h"

namespace lpnsr {
namespace {

constexpr int kSide = 8;
using Block = std::array<float, kSide * kSide>;

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

// Eight numbers in one register; processors without such registers take two halves.
using Eight = float __attribute__((vector_size(32)));
using LooseEight = float __attribute__((vector_size(32), aligned(4), may_alias));

LPNSR_INLINE void multiply(const float* a, const Eight* b, Eight* out) {
#pragma GCC unroll 8
  for (int i = 0; i < kSide; ++i) {
    Eight row = a[i * kSide] * b[0];
#pragma GCC unroll 8
    for (int k = 1; k < kSide; ++k) row += a[i * kSide + k] * b[k];
    out[i] = row;
  }
}

LPNSR_INLINE float nearest(float value) { return std::nearbyint(value); }

// Transforms, quantises and restores each 8x8 block of a plane whose sides are multiples of 8; values in 0..255. All tables are 8x8.
LPNSR_VECTORISED void quantise_blocks(float* plane, int64_t height, int64_t width, const float* steps, const float* forward,
                                      const float* inverse) {
  alignas(32) Eight block[kSide], half[kSide], cosines[kSide], transposed_cosines[kSide], step[kSide];
  std::memcpy(cosines, forward, sizeof(cosines));
  std::memcpy(transposed_cosines, inverse, sizeof(cosines));
  std::memcpy(step, steps, sizeof(step));
  for (int64_t top = 0; top < height; top += kSide) {
    for (int64_t left = 0; left < width; left += kSide) {
      float* corner = plane + top * width + left;
      for (int y = 0; y < kSide; ++y) block[y] = *reinterpret_cast<LooseEight*>(corner + y * width) - 128.0F;
      multiply(forward, block, half);
      multiply(reinterpret_cast<const float*>(half), transposed_cosines, block);
      for (int y = 0; y < kSide; ++y) {
        alignas(32) float units[kSide];
        const Eight scaled = block[y] / step[y];
        std::memcpy(units, &scaled, sizeof(units));
        for (float& unit : units) unit = nearest(unit);
        Eight rounded;
        std::memcpy(&rounded, units, sizeof(units));
        block[y] = rounded * step[y];
      }
      multiply(inverse, block, half);
      multiply(reinterpret_cast<const float*>(half), cosines, block);
      for (int y = 0; y < kSide; ++y) *reinterpret_cast<LooseEight*>(corner + y * width) = block[y] + 128.0F;
    }
  }
}

void quantise_plane(float* plane, int64_t height, int64_t width, JpegTable steps, double factor) {
  static const Block forward = cosine_matrix(), inverse = transposed(forward);
  if (factor <= 0.0) return;  // quality 100: steps of zero
  for (float& step : steps) step *= static_cast<float>(factor);
  quantise_blocks(plane, height, width, steps.data(), forward.data(), inverse.data());
}

// One row of RGB in [0,1] to luma in 0..255, and to its chroma, of which a quarter is added to what four pixels share; `width` is even.
// In the order of the references' additions: products that lie between two levels then mostly round to the same side.
LPNSR_VECTORISED void add_row_of_chroma(const float* r, const float* g, const float* b, int64_t width, float* luma, float* blue,
                                        float* red) {
  for (int64_t x = 0; x < width; ++x) luma[x] = 0.299F * (255.0F * r[x]) + 0.587F * (255.0F * g[x]) + 0.114F * (255.0F * b[x]);
  for (int64_t x = 0; x < width / 2; ++x) {
    const float r0 = 255.0F * r[2 * x], g0 = 255.0F * g[2 * x], b0 = 255.0F * b[2 * x];
    const float r1 = 255.0F * r[2 * x + 1], g1 = 255.0F * g[2 * x + 1], b1 = 255.0F * b[2 * x + 1];
    blue[x] += 0.25F * (-0.168736F * r0 - 0.331264F * g0 + 0.5F * b0 + 128.0F);
    blue[x] += 0.25F * (-0.168736F * r1 - 0.331264F * g1 + 0.5F * b1 + 128.0F);
    red[x] += 0.25F * (0.5F * r0 - 0.418688F * g0 - 0.081312F * b0 + 128.0F);
    red[x] += 0.25F * (0.5F * r1 - 0.418688F * g1 - 0.081312F * b1 + 128.0F);
  }
}

// And back, from chroma of the full width less 128.
LPNSR_VECTORISED void row_of_rgb(const float* __restrict luma, const float* __restrict cb, const float* __restrict cr, int64_t width,
                                 float* __restrict r, float* __restrict g, float* __restrict b) {
  for (int64_t x = 0; x < width; ++x) {
    const float red = luma[x] + 1.402F * cr[x], green = luma[x] - 0.344136F * cb[x] - 0.714136F * cr[x], blue = luma[x] + 1.772F * cb[x];
    r[x] = std::min(std::max(red, 0.0F), 255.0F) / 255.0F;
    g[x] = std::min(std::max(green, 0.0F), 255.0F) / 255.0F;
    b[x] = std::min(std::max(blue, 0.0F), 255.0F) / 255.0F;
  }
}

LPNSR_VECTORISED void repeat_less_128(const float* __restrict values, int64_t count, float* __restrict out) {
  for (int64_t x = 0; x < count; ++x) out[2 * x] = out[2 * x + 1] = values[x] - 128.0F;
}

}  // namespace

Planes compress_differentiable(const Planes& picture, double quality) {
  constexpr int64_t kUnit = 16;
  const int64_t height = (picture.height + kUnit - 1) / kUnit * kUnit, width = (picture.width + kUnit - 1) / kUnit * kUnit;
  Planes luma(1, height, width), chroma(2, height / 2, width / 2), row(3, 1, width);
  std::fill(chroma.values.begin(), chroma.values.end(), 0.0F);
  std::fill(row.values.begin(), row.values.end(), 0.0F);  // black fills the last units
  for (int64_t y = 0; y < height; ++y) {
    const float* colours[3];
    for (int64_t c = 0; c < 3; ++c) {
      const bool inside = y < picture.height;
      if (inside && width == picture.width) {
        colours[c] = picture.row(c, y);
        continue;
      }
      if (inside) {
        std::copy_n(picture.row(c, y), picture.width, row.plane(c));
      } else {
        std::fill_n(row.plane(c), width, 0.0F);
      }
      colours[c] = row.plane(c);
    }
    add_row_of_chroma(colours[0], colours[1], colours[2], width, luma.row(0, y), chroma.row(0, y / 2), chroma.row(1, y / 2));
  }
  const double factor = jpeg_table_factor(quality);
  quantise_plane(luma.plane(0), height, width, jpeg_luma_table(), factor);
  quantise_plane(chroma.plane(0), height / 2, width / 2, jpeg_chroma_table(), factor);
  quantise_plane(chroma.plane(1), height / 2, width / 2, jpeg_chroma_table(), factor);

  Planes result(3, picture.height, picture.width);
  for (int64_t y = 0; y < picture.height; ++y) {
    if (y % 2 == 0) {
      repeat_less_128(chroma.row(0, y / 2), width / 2, row.plane(0));
      repeat_less_128(chroma.row(1, y / 2), width / 2, row.plane(1));
    }
    row_of_rgb(luma.row(0, y), row.plane(0), row.plane(1), picture.width, result.row(0, y), result.row(1, y), result.row(2, y));
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
