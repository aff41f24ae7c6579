#include "degradation/jpeg_tables.h"

#include <cstddef>

namespace lpnsr {
namespace {

// Annex K of the JPEG standard, rows are vertical frequencies.
constexpr std::array<int, 64> kLuma = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  //
                                       14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,  //
                                       18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,  //
                                       49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr std::array<int, 16> kChromaCorner = {17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99};  // 99 elsewhere

}  // namespace

JpegTable jpeg_luma_table() {
  JpegTable table;
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) table[i * 8 + j] = static_cast<float>(kLuma[j * 8 + i]);
  }
  return table;
}

JpegTable jpeg_chroma_table() {
  JpegTable table;
  table.fill(99.0F);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) table[i * 8 + j] = static_cast<float>(kChromaCorner[i * 4 + j]);
  }
  return table;
}

}  // namespace lpnsr
