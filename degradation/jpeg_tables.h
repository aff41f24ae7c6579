#pragma once
#include <array>

namespace lpnsr {

using JpegTable = std::array<float, 64>;  // quantisation steps at quality 50, [vertical][horizontal frequency]

// The references' tables: chroma as in annex K of the JPEG standard, luma transposed against it.
JpegTable jpeg_luma_table();
JpegTable jpeg_chroma_table();

// What a quality in (0, 100] multiplies the tables with; 0 at 100.
inline double jpeg_table_factor(double quality) { return quality < 50.0 ? 50.0 / quality : 2.0 - quality / 50.0; }

}  // namespace lpnsr
