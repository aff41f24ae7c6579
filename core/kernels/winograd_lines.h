#pragma once
// Winograd's minimal filtering F(m x m, 3x3) (Lavin and Gray 2016): Y = A^T [(G g G^T) . (B^T d B)] A, one line at a time, for the points
// of interpolation 0, +-p1, +-p2, ... and infinity: m + 2 of them. Included after the Lanes of one instruction set.
#include "core/kernels/elementwise.h"

namespace lpnsr::kernels {
namespace {

// Points has `pairs` and p(i), the positive one of a pair.
template <class Points>
struct WinogradLines {
  static constexpr int pairs = Points::pairs;
  static constexpr int side = 2 * pairs + 2;  // of an input tile
  static constexpr int tile = 2 * pairs;      // of a tile of results

  static constexpr float square(int i) { return Points::p(i) * Points::p(i); }
  static constexpr float power(int i, int exponent) {
    float value = 1;
    for (int k = 0; k < exponent; ++k) value *= Points::p(i);
    return value;
  }
  // Coefficient k of the product of (y - p_j^2) over the pairs j, without pair `without`.
  static constexpr float coefficient(int k, int without) {
    float c[pairs + 1] = {1};
    int degree = 0;
    for (int j = 0; j < pairs; ++j) {
      if (j == without) continue;
      c[degree + 1] = c[degree];
      for (int l = degree; l > 0; --l) c[l] = c[l - 1] - square(j) * c[l];
      c[0] = -square(j) * c[0];
      ++degree;
    }
    return c[k];
  }
  // The denominator of the interpolation at p_i and -p_i.
  static constexpr float denominator(int i) {
    float value = 2 * square(i);
    for (int j = 0; j < pairs; ++j) {
      if (j != i) value *= square(i) - square(j);
    }
    return value;
  }
  struct Table {
    float zero[pairs + 1] = {}, even[pairs][pairs] = {}, odd[pairs][pairs] = {}, power[pairs][tile] = {}, filter[pairs] = {};
    constexpr Table() {
      for (int k = 0; k <= pairs; ++k) zero[k] = coefficient(k, -1);
      for (int i = 0; i < pairs; ++i) {
        for (int k = 0; k < pairs; ++k) even[i][k] = coefficient(k, i), odd[i][k] = Points::p(i) * even[i][k];
        for (int row = 0; row < tile; ++row) power[i][row] = WinogradLines::power(i, row);
        filter[i] = 1 / denominator(i);
      }
    }
  };
  static constexpr Table table{};

  // B^T d; the values lie `s` apart, the results `t`.
  static void input(const V* d, int s, V* o, int t) {
    V first = d[2 * pairs * s], last = d[(2 * pairs + 1) * s];
#pragma GCC unroll 4
    for (int k = 0; k < pairs; ++k) {
      first = Lanes::fma(Lanes::all(table.zero[k]), d[2 * k * s], first);
      last = Lanes::fma(Lanes::all(table.zero[k]), d[(2 * k + 1) * s], last);
    }
    o[0] = first;
    o[(side - 1) * t] = last;
#pragma GCC unroll 4
    for (int i = 0; i < pairs; ++i) {
      V even = d[2 * pairs * s], odd = Lanes::mul(Lanes::all(table.odd[i][pairs - 1]), d[(2 * pairs - 1) * s]);
#pragma GCC unroll 4
      for (int k = pairs - 2; k >= 0; --k) {
        even = Lanes::fma(Lanes::all(table.even[i][k]), d[(2 * k + 2) * s], even);
        odd = Lanes::fma(Lanes::all(table.odd[i][k]), d[(2 * k + 1) * s], odd);
      }
      o[(2 * i + 1) * t] = Lanes::add(even, odd);
      o[(2 * i + 2) * t] = Lanes::sub(even, odd);
    }
  }

  // G g; the denominators of the interpolation are here.
  static void filter(const V* g, int s, V* o, int t) {
    o[0] = Lanes::mul(Lanes::all(1 / table.zero[0]), g[0]);
#pragma GCC unroll 4
    for (int i = 0; i < pairs; ++i) {
      const V even = Lanes::mul(Lanes::all(table.filter[i]), Lanes::fma(Lanes::all(square(i)), g[2 * s], g[0]));
      const V odd = Lanes::mul(Lanes::all(table.filter[i] * Points::p(i)), g[s]);
      o[(2 * i + 1) * t] = Lanes::add(even, odd);
      o[(2 * i + 2) * t] = Lanes::sub(even, odd);
    }
    o[(side - 1) * t] = g[2 * s];
  }

  // A^T m.
  static void result(const V* m, int s, V* o, int t) {
    V sums[pairs], differences[pairs];
#pragma GCC unroll 4
    for (int i = 0; i < pairs; ++i) {
      sums[i] = Lanes::add(m[(2 * i + 1) * s], m[(2 * i + 2) * s]);
      differences[i] = Lanes::sub(m[(2 * i + 1) * s], m[(2 * i + 2) * s]);
    }
    V all = sums[0];
#pragma GCC unroll 4
    for (int i = 1; i < pairs; ++i) all = Lanes::add(all, sums[i]);
    o[0] = Lanes::add(m[0], all);
#pragma GCC unroll 8
    for (int row = 1; row < tile; ++row) {
      const V* values = row % 2 == 0 ? sums : differences;
      V value = row == tile - 1 ? Lanes::fma(Lanes::all(table.power[0][row]), values[0], m[(side - 1) * s])
                                : Lanes::mul(Lanes::all(table.power[0][row]), values[0]);
#pragma GCC unroll 4
      for (int i = 1; i < pairs; ++i) value = Lanes::fma(Lanes::all(table.power[i][row]), values[i], value);
      o[row * t] = value;
    }
  }
};

}  // namespace
}  // namespace lpnsr::kernels
