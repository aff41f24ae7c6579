#pragma once
// Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): Y = A^T [(G g G^T) . (B^T d B)] A, which takes a quarter of the direct
// form's multiplications. The points of interpolation are 0, +-5/8, +-3/2 and infinity: rounding errors are half of those of the usual
// +-1 and +-2, three times those of a direct sum. Included after the Lanes of one instruction set.
#include "core/kernels/elementwise.h"

namespace lpnsr::kernels {
namespace {

constexpr int kFilters = 2 * Lanes::count;
constexpr int kSide = 6;  // of an input tile

constexpr float kA = 0.625F, kB = 1.5F, kA2 = kA * kA, kB2 = kB * kB;

// B^T d; the six values lie `s` apart, the results `t`.
inline void input_line(const V* d, int s, V* o, int t) {
  const V d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s];
  o[0] = Lanes::fma(Lanes::all(-(kA2 + kB2)), d2, Lanes::fma(Lanes::all(kA2 * kB2), d0, d4));
  const V even_a = Lanes::fma(Lanes::all(-kB2), d2, d4);
  const V odd_a = Lanes::fma(Lanes::all(-kA * kB2), d1, Lanes::mul(Lanes::all(kA), d3));
  o[t] = Lanes::add(even_a, odd_a);
  o[2 * t] = Lanes::sub(even_a, odd_a);
  const V even_b = Lanes::fma(Lanes::all(-kA2), d2, d4);
  const V odd_b = Lanes::fma(Lanes::all(-kB * kA2), d1, Lanes::mul(Lanes::all(kB), d3));
  o[3 * t] = Lanes::add(even_b, odd_b);
  o[4 * t] = Lanes::sub(even_b, odd_b);
  o[5 * t] = Lanes::fma(Lanes::all(-(kA2 + kB2)), d3, Lanes::fma(Lanes::all(kA2 * kB2), d1, d5));
}

// G g; the denominators of the interpolation are here.
inline void filter_line(const V* g, int s, V* o, int t) {
  constexpr float a = 1 / (2 * kA2 * (kA2 - kB2)), b = 1 / (2 * kB2 * (kB2 - kA2));
  const V g0 = g[0], g1 = g[s], g2 = g[2 * s];
  o[0] = Lanes::mul(Lanes::all(1 / (kA2 * kB2)), g0);
  const V even_a = Lanes::mul(Lanes::all(a), Lanes::fma(Lanes::all(kA2), g2, g0)), odd_a = Lanes::mul(Lanes::all(a * kA), g1);
  o[t] = Lanes::add(even_a, odd_a);
  o[2 * t] = Lanes::sub(even_a, odd_a);
  const V even_b = Lanes::mul(Lanes::all(b), Lanes::fma(Lanes::all(kB2), g2, g0)), odd_b = Lanes::mul(Lanes::all(b * kB), g1);
  o[3 * t] = Lanes::add(even_b, odd_b);
  o[4 * t] = Lanes::sub(even_b, odd_b);
  o[5 * t] = g2;
}

// A^T m.
inline void result_line(const V* m, int s, V* o, int t) {
  const V sum_a = Lanes::add(m[s], m[2 * s]), difference_a = Lanes::sub(m[s], m[2 * s]);
  const V sum_b = Lanes::add(m[3 * s], m[4 * s]), difference_b = Lanes::sub(m[3 * s], m[4 * s]);
  o[0] = Lanes::add(m[0], Lanes::add(sum_a, sum_b));
  o[t] = Lanes::fma(Lanes::all(kB), difference_b, Lanes::mul(Lanes::all(kA), difference_a));
  o[2 * t] = Lanes::fma(Lanes::all(kB2), sum_b, Lanes::mul(Lanes::all(kA2), sum_a));
  o[3 * t] = Lanes::fma(Lanes::all(kB2 * kB), difference_b, Lanes::fma(Lanes::all(kA2 * kA), difference_a, m[5 * s]));
}

void transform_filters(const Filters& f, int64_t first, int64_t last, float* u) {
  for (int64_t block = first; block < last; ++block) {
    for (int64_t i = 0; i < f.in; ++i) {
      for (int half = 0; half < 2; ++half) {
        const int64_t out = block * kFilters + half * Lanes::count;
        const float* taps = f.first + i * f.in_stride;
        V g[9], columns[18], all[36];
        for (int k = 0; k < 9; ++k)
          g[k] = Lanes::strided(out < f.out ? taps + out * f.out_stride + k * f.tap_stride : taps, f.out_stride, f.out - out);
        for (int k = 0; k < 3; ++k) filter_line(g + k, 3, columns + k, 3);
        for (int k = 0; k < kSide; ++k) filter_line(columns + 3 * k, 1, all + kSide * k, 1);
        float* to = u + (block * kWinogradProducts * f.in + i) * kFilters + half * Lanes::count;
        for (int k = 0; k < kWinogradProducts; ++k) Lanes::store(to + k * f.in * kFilters, all[k]);
      }
    }
  }
}

struct Tiles {
  int64_t rows, columns;
  Tiles(int64_t height, int64_t width)
      : rows((height + kWinogradTile - 1) / kWinogradTile), columns((width + kWinogradTile - 1) / kWinogradTile) {}
  int64_t picture(int64_t tile) const { return tile / (rows * columns); }
  int64_t top(int64_t tile) const { return tile / columns % rows * kWinogradTile; }
  int64_t left(int64_t tile) const { return tile % columns * kWinogradTile; }
};

template <class T, bool twice>
void transform_tiles(const Map& map, const Prologue& prologue, int64_t first, int64_t last, int64_t origin, int64_t stride, float* v) {
  const int64_t height = twice ? 2 * map.height : map.height, width = twice ? 2 * map.width : map.width, channels = map.channels;
  const Tiles tiles(height, width);
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t picture = tiles.picture(tile), top = tiles.top(tile) - 1, left = tiles.left(tile) - 1;
    const T* places[kSide * kSide];  // null outside
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        const int64_t row = top + y, column = left + x;
        const bool inside = row >= 0 && row < height && column >= 0 && column < width;
        const int64_t pixel = (picture * map.height + (twice ? row / 2 : row)) * map.width + (twice ? column / 2 : column);
        places[y * kSide + x] = inside ? static_cast<const T*>(map.data) + pixel * channels : nullptr;
      }
    }
    for (int64_t c = 0; c < channels; c += Lanes::count) {
      const PrologueHere here(prologue, picture * channels + c);
      V d[kSide * kSide], columns[kSide * kSide];
      for (int k = 0; k < kSide * kSide; ++k) d[k] = places[k] == nullptr ? Lanes::zero() : here(Lanes::load(places[k] + c));
      for (int k = 0; k < kSide; ++k) input_line(d + k, kSide, columns + k, kSide);
      float* to = v + (tile - origin) * channels + c;
      for (int k = 0; k < kSide; ++k) {
        V line[kSide];
        input_line(columns + kSide * k, 1, line, 1);
        for (int l = 0; l < kSide; ++l) Lanes::store(to + (kSide * k + l) * stride, line[l]);
      }
    }
  }
}

void transform_input(const Map& map, const Prologue& prologue, bool twice, int64_t first, int64_t last, int64_t origin, int64_t stride,
                     float* v) {
  if (map.bfloat16) {
    twice ? transform_tiles<uint16_t, true>(map, prologue, first, last, origin, stride, v)
          : transform_tiles<uint16_t, false>(map, prologue, first, last, origin, stride, v);
  } else {
    twice ? transform_tiles<float, true>(map, prologue, first, last, origin, stride, v)
          : transform_tiles<float, false>(map, prologue, first, last, origin, stride, v);
  }
}

// c [rows][kFilters] = a [rows][depth] b [depth][kFilters], all of c in registers.
template <int rows>
void product(const float* a, const float* b, int64_t depth, float* c) {
  V sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = Lanes::zero();
  for (int64_t k = 0; k < depth; ++k) {
    const V b0 = Lanes::load(b + k * kFilters), b1 = Lanes::load(b + k * kFilters + Lanes::count);
#pragma GCC unroll 14
    for (int r = 0; r < rows; ++r) {
      const V x = Lanes::all(a[r * depth + k]);
      sums[r][0] = Lanes::fma(x, b0, sums[r][0]);
      sums[r][1] = Lanes::fma(x, b1, sums[r][1]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    Lanes::store(c + r * kFilters, sums[r][0]);
    Lanes::store(c + r * kFilters + Lanes::count, sums[r][1]);
  }
}

template <int rows>
void product_of(int64_t wanted, const float* a, const float* b, int64_t depth, float* c) {
  if constexpr (rows > 1) {
    if (wanted < rows) return product_of<rows - 1>(wanted, a, b, depth, c);
  }
  product<rows>(a, b, depth, c);
}

template <class T>
void finish_tiles(const float* m, int64_t block, int64_t first, int64_t last, const float* bias, const Map& residual, const Map& result) {
  const Tiles tiles(result.height, result.width);
  const int64_t count = last - first;
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t top = tiles.top(tile), left = tiles.left(tile);
    const int64_t rows = result.height - top < kWinogradTile ? result.height - top : kWinogradTile;
    const int64_t columns = result.width - left < kWinogradTile ? result.width - left : kWinogradTile;
    for (int half = 0; half < 2; ++half) {
      const int64_t channel = block * kFilters + half * Lanes::count;
      if (channel >= result.channels) break;
      V products[kWinogradProducts], lines[kWinogradTile * kSide];
      for (int k = 0; k < kWinogradProducts; ++k)
        products[k] = Lanes::load(m + (k * count + tile - first) * kFilters + half * Lanes::count);
      for (int k = 0; k < kSide; ++k) result_line(products + k, kSide, lines + k, kSide);
      const V added = bias != nullptr ? Lanes::load(bias + channel) : Lanes::zero();
      for (int64_t y = 0; y < rows; ++y) {
        V values[kWinogradTile];
        result_line(lines + kSide * y, 1, values, 1);
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

void multiply(const float* v, int64_t stride, int64_t origin, int64_t in, const float* u, int64_t block, int64_t first, int64_t last,
              const float* bias, const Map& residual, float* scratch, const Map& result) {
  const int64_t count = last - first;
  for (int64_t k = 0; k < kWinogradProducts; ++k) {
    const float* filters = u + (block * kWinogradProducts + k) * in * kFilters;
    for (int64_t tile = 0; tile < count; tile += Lanes::rows) {
      const int64_t rows = count - tile < Lanes::rows ? count - tile : Lanes::rows;
      product_of<Lanes::rows>(rows, v + k * stride + (first - origin + tile) * in, filters, in, scratch + (k * count + tile) * kFilters);
    }
  }
  if (result.bfloat16) return finish_tiles<uint16_t>(scratch, block, first, last, bias, residual, result);
  finish_tiles<float>(scratch, block, first, last, bias, residual, result);
}

}  // namespace
}  // namespace lpnsr::kernels
