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

// The 3x3 taps of [out][in] filters, float or bfloat16: element (o, i, row, column) at
// taps[first + o * out_stride + i * in_stride + (3 row + column) * tap_stride].
struct Filters {
  const void* taps = nullptr;
  bool bfloat16 = false;
  int64_t first = 0;
  int64_t in = 0, out = 0;
  int64_t out_stride = 0, in_stride = 0, tap_stride = 0;
};

// Elements between the planes of what Winograd's forms transform: planes a power of two apart would share the lines of one set of the
// cache.
constexpr int64_t plane_padding(int64_t element_bytes) { return 64 / element_bytes; }

// One of Winograd's forms F(m x m, 3x3): tiles of m x m results, from (m + 2)^2 products each. Tiles are counted over batch, rows, columns.
struct Winograd {
  int64_t tile = 0;          // m
  int64_t factor_bytes = 0;  // of an element of u and v: float or bfloat16
  // Blocks first..last-1: u [last - first][products][in * filters + plane_padding], zero beyond `out`.
  void (*transform_filters)(const Filters& filters, int64_t first, int64_t last, void* u) = nullptr;
  // v [products][...][channels]: tile t at v + (t - origin) * channels, products `stride` apart. Outside the map lie zeros. `twice`: the
  // map is taken as if each pixel were repeated 2x2 (its height and width are those before).
  void (*transform_input)(const Map& map, const Prologue& prologue, bool twice, int64_t first, int64_t last, int64_t origin, int64_t stride,
                          void* v) = nullptr;
  // result tiles first..last-1 of the filters of one block, whose transformed filters are u, plus bias and residual (each may be null /
  // empty). scratch: [products][last - first][filters].
  void (*multiply)(const void* v, int64_t stride, int64_t origin, int64_t in, const void* u, int64_t block, int64_t first, int64_t last,
                   const float* bias, const Map& residual, float* scratch, const Map& result) = nullptr;

  constexpr int64_t products() const { return (tile + 2) * (tile + 2); }
};

// Softmax(scale q k^T + bias) v within windows of a map [N,H,W,3*heads*depth], q, k and v of a head next to each other's. The windows lie
// `shift` pixels down and right of the map's corner and wrap around.
constexpr int64_t kMostWindowTokens = 64, kMostHeadChannels = 64;
struct WindowAttention {
  int64_t window = 0, shift = 0, heads = 0;
  float scale = 1;
  // [heads][tokens][tokens] of the windows that are: 0 neither in the last column nor row, 1 in the last column, 2 row, 3 both.
  const float* bias[4] = {};
};

// Vectors of a quantiser: value d of code i at values[d * count + i]; squares: their squared lengths. `count` is a multiple of
// Kernels::lanes; codes that only fill it up have infinite squares.
struct Codes {
  const float* values = nullptr;
  const float* squares = nullptr;
  int64_t count = 0, depth = 0;
};

struct Kernels {
  int64_t lanes;         // of a vector
  int64_t filters;       // in a block of transformed filters, 2 lanes
  int64_t rows_at_once;  // tiles that share a product's registers
  Winograd f4, f6, f2;   // f2, with products in bfloat16, is empty where the processor has none
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
  // For pairs of window and head first..last-1; tokens a multiple of `filters`. result [N,H,W,heads*depth].
  void (*attend)(const Map& qkv, const WindowAttention& options, int64_t first, int64_t last, const Map& result);
  // For one head of windows first..last-1, with `gradient` that of attend's result: the gradient in qkv, laid out as that; the sum of those
  // in the bias is added to bias_gradient [tokens][tokens], which may be null.
  void (*attend_gradient)(const Map& qkv, const Map& gradient, const WindowAttention& options, int64_t head, int64_t first, int64_t last,
                          const Map& result, float* bias_gradient);
  // Of points first..last-1 [points][depth]: the index of the code with the smallest square - 2 point code, the first of equal ones.
  void (*nearest)(const float* points, const Codes& codes, int64_t first, int64_t last, int64_t* result);
};

// The kernels of this processor, or those that $LPNSR_KERNELS names (avx512_bf16, avx512, avx2, off); null where it has neither AVX2 with
// FMA nor AVX-512 and where they are off: LibTorch's operators then do the work. Throws UsageError for another name.
const Kernels* kernels();

extern const Kernels kKernelsAvx2, kKernelsAvx512, kKernelsAvx512Bf16;

}  // namespace lpnsr::kernels
