#pragma once
// Inner loops on channels-last maps, once for each instruction set. No LibTorch and no standard library in what they are made of: a
// function of a header that was compiled for one processor must not be taken by the linker for another.
#include <cstdint>

namespace lpnsr::kernels {

// [batch, height, width, channels], dense, float or bfloat16; channels a multiple of Kernels::lanes.
struct Map {
  void* data = nullptr;
  bool bfloat16 = false;
  int64_t batch = 0, height = 0, width = 0, channels = 0;
};

// What happens to a value before it is used: x * scale[n][c] + shift[n][c] (nothing where scale is null), then SiLU where asked.
struct Prologue {
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool silu = false;
};

// The 3x3 taps of [out][in] filters: element (o, i, row, column) at first[o * out_stride + i * in_stride + (3 row + column) * tap_stride].
struct Filters {
  const float* first = nullptr;
  int64_t in = 0, out = 0;
  int64_t out_stride = 0, in_stride = 0, tap_stride = 0;
};

// Winograd's F(4x4, 3x3): tiles of 4x4 results from 6x6 inputs through 36 products. Tiles are counted over batch, rows, columns.
constexpr int64_t kWinogradTile = 4, kWinogradProducts = 36;

struct Kernels {
  int64_t lanes;         // of a vector
  int64_t filters;       // in a block of transformed filters, 2 lanes
  int64_t rows_at_once;  // tiles that share a product's registers
  // u [blocks][36][in][filters], zero beyond `out`; for blocks first..last-1.
  void (*transform_filters)(const Filters& filters, int64_t first, int64_t last, float* u);
  // v [36][...][channels]: tile t at v + (t - origin) * channels, products `stride` apart. Outside the map lie zeros. `twice`: the map is
  // taken as if each pixel were repeated 2x2 (its height and width are those before).
  void (*transform_input)(const Map& map, const Prologue& prologue, bool twice, int64_t first, int64_t last, int64_t origin, int64_t stride,
                          float* v);
  // result tiles first..last-1 of the filters of one block, plus bias and residual (each may be null / empty). scratch: [36][last -
  // first][filters].
  void (*multiply)(const float* v, int64_t stride, int64_t origin, int64_t in, const float* u, int64_t block, int64_t first, int64_t last,
                   const float* bias, const Map& residual, float* scratch, const Map& result);
  // Sums over pixels first..last-1 of one picture: of x - pivot[c] and of its square, [channels] each.
  void (*moments)(const Map& map, int64_t picture, int64_t first, int64_t last, const float* pivot, double* sum, double* square);
  // result = prologue(map) for pixels first..last-1 of one picture.
  void (*apply)(const Map& map, const Prologue& prologue, int64_t picture, int64_t first, int64_t last, const Map& result);
  // With dz the gradient in the argument of the prologue's SiLU, given `gradient` in its result: sums over pixels first..last-1 of dz and
  // of dz (x - pivot[c]), [channels] each.
  void (*gradient_sums)(const Map& map, const Map& gradient, const Prologue& prologue, const float* pivot, int64_t picture, int64_t first,
                        int64_t last, double* sum, double* product);
  // result = dz scale[n][c] + x slope[n][c] + offset[n][c].
  void (*apply_gradient)(const Map& map, const Map& gradient, const Prologue& prologue, const float* slope, const float* offset,
                         int64_t picture, int64_t first, int64_t last, const Map& result);
};

// The kernels of this processor, or those that $LPNSR_KERNELS names (avx512, avx2, off); null where it has neither AVX2 with FMA nor
// AVX-512 and where they are off: LibTorch's operators then do the work. Throws UsageError for another name.
const Kernels* kernels();

extern const Kernels kKernelsAvx2, kKernelsAvx512;

}  // namespace lpnsr::kernels
