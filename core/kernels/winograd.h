#pragma once
// 3x3 convolutions by Winograd's minimal filtering: filters and tiles of the input are transformed, multiplied as matrices ([tiles][in] by
// [in][filters], once for each of a tile's points), and the products transformed to the tiles of the result. Included after the Lanes of
// one instruction set.
#include "core/kernels/winograd_lines.h"

namespace lpnsr::kernels {
namespace {

constexpr int kFilters = 2 * Lanes::count;

// A quarter of the direct form's multiplications; its rounding errors are half of those with the usual points 1 and 2, three times those of
// a direct sum.
struct PointsOfF4 {
  static constexpr int pairs = 2;
  static constexpr float p(int i) { return i == 0 ? 0.625F : 1.5F; }
};
struct F4 : WinogradLines<PointsOfF4> {
  using Factor = float;
};

// A fifth of the multiplications and four times the rounding errors of F4: for maps in bfloat16, whose own rounding is far coarser.
struct PointsOfF6 {
  static constexpr int pairs = 3;
  static constexpr float p(int i) { return i == 0 ? 0.5F : i == 1 ? 1.0F : 2.0F; }
};
struct F6 : WinogradLines<PointsOfF6> {
  using Factor = float;
};

inline void store_filters(float* plane, int64_t i, int half, V even, V odd) {
  Lanes::store(plane + i * kFilters + half * Lanes::count, even);
  Lanes::store(plane + (i + 1) * kFilters + half * Lanes::count, odd);
}

#ifdef __AVX512BF16__
// Four ninths of the multiplications, in bfloat16, two at a time, with sums in float32. Half as large again an error as a direct
// convolution's in bfloat16; F4's would be more than four times as large.
struct PointsOfF2 {
  static constexpr int pairs = 1;
  static constexpr float p(int) { return 1; }
};
struct F2 : WinogradLines<PointsOfF2> {
  using Factor = uint16_t;
};

// Two inputs next to each other, as the products take them.
inline void store_filters(uint16_t* plane, int64_t i, int half, V even, V odd) {
  Lanes::store_pairs(plane + i * kFilters + half * 2 * Lanes::count, even, odd);
}
#endif

// Tap k of the filters of Lanes::count inputs and as many results (zero beyond `lanes`): one vector an input.
template <class T>
void load_taps(const Filters& f, int64_t out, int64_t lanes, int64_t in, int64_t k, V* inputs) {
  const T* from = static_cast<const T*>(f.taps) + f.first + out * f.out_stride + in * f.in_stride + k * f.tap_stride;
  if (f.in_stride == 1) {
    for (int64_t lane = 0; lane < Lanes::count; ++lane)
      inputs[lane] = lane < lanes ? Lanes::load(from + lane * f.out_stride) : Lanes::zero();
    return Lanes::transpose(inputs);
  }
  if (f.out_stride == 1 && lanes == Lanes::count) {
    for (int64_t i = 0; i < Lanes::count; ++i) inputs[i] = Lanes::load(from + i * f.in_stride);
    return;
  }
  for (int64_t i = 0; i < Lanes::count; ++i) {
    float values[Lanes::count] = {};
    for (int64_t lane = 0; lane < lanes; ++lane) values[lane] = as_float(from[lane * f.out_stride + i * f.in_stride]);
    inputs[i] = Lanes::load(values);
  }
}

template <class T, class Form>
void transform_filters_of(const Filters& f, int64_t first, int64_t last, typename Form::Factor* u) {
  constexpr int side = Form::side, products = side * side;
  const int64_t plane = f.in * kFilters + plane_padding(sizeof *u);
  for (int64_t block = first; block < last; ++block) {
    for (int half = 0; half < 2; ++half) {
      const int64_t out = block * kFilters + half * Lanes::count;
      const int64_t lanes = f.out - out < Lanes::count ? f.out - out : Lanes::count;
      for (int64_t in = 0; in < f.in; in += Lanes::count) {
        V taps[9][Lanes::count];
        for (int k = 0; k < 9; ++k) load_taps<T>(f, out, lanes, in, k, taps[k]);
        for (int64_t i = 0; i < Lanes::count; i += 2) {
          V all[2][products];
          for (int one = 0; one < 2; ++one) {
            V g[9], columns[3 * side];
            for (int k = 0; k < 9; ++k) g[k] = taps[k][i + one];
            for (int k = 0; k < 3; ++k) Form::filter(g + k, 3, columns + k, 3);
            for (int k = 0; k < side; ++k) Form::filter(columns + 3 * k, 1, all[one] + side * k, 1);
          }
          auto* to = u + (block - first) * products * plane;
          for (int k = 0; k < products; ++k) store_filters(to + k * plane, in + i, half, all[0][k], all[1][k]);
        }
      }
    }
  }
}

template <class Form>
void transform_filters(const Filters& filters, int64_t first, int64_t last, void* u) {
  auto* to = static_cast<typename Form::Factor*>(u);
  if (filters.bfloat16) return transform_filters_of<uint16_t, Form>(filters, first, last, to);
  transform_filters_of<float, Form>(filters, first, last, to);
}

template <int tile>
struct Tiles {
  int64_t rows, columns;
  Tiles(int64_t height, int64_t width) : rows((height + tile - 1) / tile), columns((width + tile - 1) / tile) {}
  int64_t picture(int64_t t) const { return t / (rows * columns); }
  int64_t top(int64_t t) const { return t / columns % rows * tile; }
  int64_t left(int64_t t) const { return t % columns * tile; }
};

// Tiles first..last-1, which lie next to each other in one row of tiles: two columns of an input tile are those of the tile before.
template <class T, class Form, bool twice>
void transform_run(const Map& map, const Prologue& prologue, int64_t first, int64_t last, typename Form::Factor* v, int64_t stride) {
  constexpr int side = Form::side, shared = side - Form::tile;
  const int64_t height = twice ? 2 * map.height : map.height, width = twice ? 2 * map.width : map.width, channels = map.channels;
  const Tiles<Form::tile> tiles(height, width);
  const int64_t picture = tiles.picture(first), top = tiles.top(first) - 1, left = tiles.left(first) - 1;
  const T* rows[side];  // null outside
  for (int64_t y = 0; y < side; ++y) {
    const int64_t row = top + y, from = picture * map.height + (twice ? row / 2 : row);
    rows[y] = row >= 0 && row < height ? static_cast<const T*>(map.data) + from * map.width * channels : nullptr;
  }
  for (int64_t c = 0; c < channels; c += Lanes::count) {
    const PrologueHere<T> here(prologue, picture * channels + c);
    V columns[side * side];  // column x of B^T d at columns[side x]
    const auto read = [&](int64_t x, V* column) {
      V d[side];
      const int64_t place = (twice ? x / 2 : x) * channels + c;
      const bool inside = x >= 0 && x < width;
      for (int y = 0; y < side; ++y) d[y] = inside && rows[y] != nullptr ? here(Lanes::load(rows[y] + place)) : Lanes::zero();
      Form::input(d, 1, column, 1);
    };
    for (int x = 0; x < shared; ++x) read(left + x, columns + side * x);
    for (int64_t tile = 0; tile < last - first; ++tile) {
      for (int x = shared; x < side; ++x) read(left + tile * Form::tile + x, columns + side * x);
      auto* to = v + tile * channels + c;
      for (int k = 0; k < side; ++k) {
        V line[side];
        Form::input(columns + k, side, line, 1);
        for (int l = 0; l < side; ++l) Lanes::store(to + (side * k + l) * stride, line[l]);
      }
      for (int k = 0; k < shared * side; ++k) columns[k] = columns[Form::tile * side + k];
    }
  }
}

template <class T, class Form, bool twice>
void transform_tiles(const Map& map, const Prologue& prologue, int64_t first, int64_t last, int64_t origin, int64_t stride,
                     typename Form::Factor* v) {
  constexpr int64_t kRunTiles = 16;  // whose pixels the first cache holds from one vector of channels to the next
  const Tiles<Form::tile> tiles(twice ? 2 * map.height : map.height, twice ? 2 * map.width : map.width);
  for (int64_t from = first, to = first; from < last; from = to) {
    to = from - from % tiles.columns + tiles.columns;
    if (to > last) to = last;
    if (to > from + kRunTiles) to = from + kRunTiles;
    transform_run<T, Form, twice>(map, prologue, from, to, v + (from - origin) * map.channels, stride);
  }
}

template <class Form>
void transform_input(const Map& map, const Prologue& prologue, bool twice, int64_t first, int64_t last, int64_t origin, int64_t stride,
                     void* v) {
  auto* to = static_cast<typename Form::Factor*>(v);
  if (map.bfloat16) {
    twice ? transform_tiles<uint16_t, Form, true>(map, prologue, first, last, origin, stride, to)
          : transform_tiles<uint16_t, Form, false>(map, prologue, first, last, origin, stride, to);
  } else {
    twice ? transform_tiles<float, Form, true>(map, prologue, first, last, origin, stride, to)
          : transform_tiles<float, Form, false>(map, prologue, first, last, origin, stride, to);
  }
}

// c [rows][kFilters] = a [rows][depth] b [depth][kFilters], all of c in registers. A lane takes one float at a time, or two in bfloat16.
template <int rows, class Factor>
void product(const Factor* a, const Factor* b, int64_t depth, float* c) {
  constexpr int at_once = sizeof(float) / sizeof(Factor);
  V sums[rows][2];
#pragma GCC unroll 14
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = Lanes::zero();
  for (int64_t k = 0; k < depth; k += at_once) {
    const auto b0 = Lanes::load_factors(b + k * kFilters), b1 = Lanes::load_factors(b + k * kFilters + at_once * Lanes::count);
#pragma GCC unroll 14
    for (int r = 0; r < rows; ++r) {
      const auto x = Lanes::all_factors(a + r * depth + k);
      sums[r][0] = Lanes::multiply_add(x, b0, sums[r][0]);
      sums[r][1] = Lanes::multiply_add(x, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < rows; ++r) {
    Lanes::store(c + r * kFilters, sums[r][0]);
    Lanes::store(c + r * kFilters + Lanes::count, sums[r][1]);
  }
}

template <int rows, class Factor>
void product_of(int64_t wanted, const Factor* a, const Factor* b, int64_t depth, float* c) {
  if constexpr (rows > 1) {
    if (wanted < rows) return product_of<rows - 1>(wanted, a, b, depth, c);
  }
  product<rows>(a, b, depth, c);
}

template <class T, class Form>
void finish_tiles(const float* m, int64_t block, int64_t first, int64_t last, const float* bias, const Map& residual, const Map& result) {
  constexpr int side = Form::side, products = side * side, edge = Form::tile;
  const Tiles<Form::tile> tiles(result.height, result.width);
  const int64_t count = last - first;
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t top = tiles.top(tile), left = tiles.left(tile);
    const int64_t rows = result.height - top < edge ? result.height - top : edge;
    const int64_t columns = result.width - left < edge ? result.width - left : edge;
    for (int half = 0; half < 2; ++half) {
      const int64_t channel = block * kFilters + half * Lanes::count;
      if (channel >= result.channels) break;
      V all[products], lines[edge * side];
      for (int k = 0; k < products; ++k) all[k] = Lanes::load(m + (k * count + tile - first) * kFilters + half * Lanes::count);
      for (int k = 0; k < side; ++k) Form::result(all + k, side, lines + k, side);
      const V added = bias != nullptr ? Lanes::load(bias + channel) : Lanes::zero();
      for (int64_t y = 0; y < rows; ++y) {
        V values[edge];
        Form::result(lines + side * y, 1, values, 1);
        const int64_t place = ((tiles.picture(tile) * result.height + top + y) * result.width + left) * result.channels + channel;
        T* to = static_cast<T*>(result.data) + place;
        for (int64_t x = 0; x < columns; ++x) {
          V value = Lanes::add(values[x], added);
          if (residual.data != nullptr)
            value = Lanes::add(value, Lanes::load(static_cast<const T*>(residual.data) + place + x * result.channels));
          Lanes::store(to + x * result.channels, value);
        }
      }
    }
  }
}

template <class Form>
void multiply(const void* v, int64_t stride, int64_t origin, int64_t in, const void* u, int64_t block, int64_t first, int64_t last,
              const float* bias, const Map& residual, float* scratch, const Map& result) {
  using Factor = typename Form::Factor;
  const int64_t count = last - first, pieces = (count + Lanes::rows - 1) / Lanes::rows;  // of equal size: short ones wait for their sums
  for (int64_t k = 0; k < Form::side * Form::side; ++k) {
    const Factor* tiles = static_cast<const Factor*>(v) + k * stride + (first - origin) * in;
    const Factor* filters = static_cast<const Factor*>(u) + k * (in * kFilters + plane_padding(sizeof(Factor)));
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t from = count * piece / pieces, rows = count * (piece + 1) / pieces - from;
      product_of<Lanes::rows>(rows, tiles + from * in, filters, in, scratch + (k * count + from) * kFilters);
    }
  }
  if (result.bfloat16) return finish_tiles<uint16_t, Form>(scratch, block, first, last, bias, residual, result);
  finish_tiles<float, Form>(scratch, block, first, last, bias, residual, result);
}

template <class Form>
constexpr Winograd winograd_of() {
  return {Form::tile, sizeof(typename Form::Factor), transform_filters<Form>, transform_input<Form>, multiply<Form>};
}

}  // namespace
}  // namespace lpnsr::kernels
