#pragma once
// Attention within windows of a map, without copies of the windows. Included after the Lanes of one instruction set.
#include "core/kernels/winograd.h"

namespace lpnsr::kernels {
namespace {

constexpr int64_t kTokens = kMostWindowTokens, kDepth = kMostHeadChannels;
static_assert(kDepth % kFilters == 0);

constexpr int64_t whole(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

// c [blocks][rows][kFilters], the right factor of a further product, = a [rows][depth] b [blocks][depth][kFilters].
inline void products(const float* a, int64_t rows, int64_t depth, const float* b, int64_t blocks, float* c) {
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t row = 0; row < rows; row += Lanes::rows) {
      const int64_t some = rows - row < Lanes::rows ? rows - row : Lanes::rows;
      product_of<Lanes::rows>(some, a + row * depth, b + block * depth * kFilters, depth, c + (block * rows + row) * kFilters);
    }
  }
}

// matrix [rows][columns], whole vectors both ways; its element (row, column) goes to to[column * column_stride + place(row)], where
// place(row) and the Lanes::count after it follow each other.
template <class Place>
void transpose(const float* matrix, int64_t rows, int64_t columns, int64_t column_stride, float* to, const Place& place) {
  for (int64_t row = 0; row < rows; row += Lanes::count) {
    for (int64_t column = 0; column < columns; column += Lanes::count) {
      V some[Lanes::count];
      for (int64_t i = 0; i < Lanes::count; ++i) some[i] = Lanes::load(matrix + (row + i) * columns + column);
      Lanes::transpose(some);
      for (int64_t i = 0; i < Lanes::count; ++i) Lanes::store(to + (column + i) * column_stride + place(row), some[i]);
    }
  }
}

// One head of one window. Its matrices are [tokens][width] of floats, zero beyond `depth`.
struct Head {
  int64_t tokens, depth, width, kind;  // kind: place of its bias
  int64_t pixels[kTokens];

  Head(const Map& map, const WindowAttention& o, int64_t channels, int64_t window)
      : tokens(o.window * o.window), depth(channels / o.heads), width(whole(depth, Lanes::count)) {
    const int64_t w = o.window, rows = map.height / w, columns = map.width / w;
    const int64_t column = window % columns, row = window / columns % rows, picture = window / (columns * rows);
    kind = (row == rows - 1 ? 2 : 0) + (column == columns - 1 ? 1 : 0);
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t y = (row * w + t / w + o.shift) % map.height, x = (column * w + t % w + o.shift) % map.width;
      pixels[t] = (picture * map.height + y) * map.width + x;
    }
  }

  int64_t token_blocks() const { return tokens / kFilters; }
  int64_t width_blocks() const { return whole(width, kFilters) / kFilters; }

  // The values from `channel` on.
  template <class T>
  void read(const Map& map, int64_t channel, float* matrix) const {
    for (int64_t t = 0; t < tokens; ++t, matrix += width) {
      const T* from = static_cast<const T*>(map.data) + pixels[t] * map.channels + channel;
      int64_t d = 0;
      for (; d + Lanes::count <= depth; d += Lanes::count) Lanes::store(matrix + d, Lanes::load(from + d));
      for (; d < depth; ++d) matrix[d] = as_float(from[d]);
      for (; d < width; ++d) matrix[d] = 0.0F;
    }
  }

  template <class T>
  void write(const float* matrix, const Map& map, int64_t channel) const {
    for (int64_t t = 0; t < tokens; ++t, matrix += width) {
      T line[kDepth];
      for (int64_t d = 0; d < width; d += Lanes::count) Lanes::store(line + d, Lanes::load(matrix + d));
      T* to = static_cast<T*>(map.data) + pixels[t] * map.channels + channel;
      for (int64_t d = 0; d < depth; ++d) to[d] = line[d];
    }
  }

  // The right factor `matrix`, [width_blocks][tokens][kFilters].
  void as_factor(const float* matrix, float* factor) const {
    for (int64_t column = 0; column < whole(width, kFilters); column += Lanes::count) {
      float* to = factor + (column / kFilters * tokens) * kFilters + column % kFilters;
      for (int64_t t = 0; t < tokens; ++t)
        Lanes::store(to + t * kFilters, column < width ? Lanes::load(matrix + t * width + column) : Lanes::zero());
    }
  }
  // The right factor matrix^T, [token_blocks][width][kFilters].
  void as_transposed_factor(const float* matrix, float* factor) const {
    transpose(matrix, tokens, width, kFilters, factor, [this](int64_t t) { return t / kFilters * width * kFilters + t % kFilters; });
  }
  // matrix^T, [width][tokens].
  void transposed(const float* matrix, float* to) const {
    transpose(matrix, tokens, width, tokens, to, [](int64_t t) { return t; });
  }
  // From a product [width_blocks][tokens][kFilters], each row times `share(token)`.
  template <class Share>
  void from_product(const float* product, const Share& share, float* matrix) const {
    for (int64_t t = 0; t < tokens; ++t) {
      const V factor = Lanes::all(share(t));
      for (int64_t d = 0; d < width; d += Lanes::count) {
        const V value = Lanes::load(product + (d / kFilters * tokens + t) * kFilters + d % kFilters);
        Lanes::store(matrix + t * width + d, Lanes::mul(value, factor));
      }
    }
  }
  // From a transposed product [token_blocks][width][kFilters], times `share`.
  void from_transposed_product(const float* product, float share, float* matrix) const {
    for (int64_t t = 0; t < tokens; t += Lanes::count) {
      const float* from = product + t / kFilters * width * kFilters + t % kFilters;
      for (int64_t d = 0; d < width; d += Lanes::count) {
        V some[Lanes::count];
        for (int64_t i = 0; i < Lanes::count; ++i) some[i] = Lanes::mul(Lanes::load(from + (d + i) * kFilters), Lanes::all(share));
        Lanes::transpose(some);
        for (int64_t i = 0; i < Lanes::count; ++i) Lanes::store(matrix + (t + i) * width + d, some[i]);
      }
    }
  }

  // Where vector i of token t's row lies in scores [token_blocks][tokens][kFilters].
  int64_t score(int64_t t, int64_t i) const {
    constexpr int64_t kVectors = kFilters / Lanes::count;
    return (i / kVectors * tokens + t) * kFilters + i % kVectors * Lanes::count;
  }

  // e^(scale score + bias - the row's largest) of token t: tokens / Lanes::count vectors. Returns their sum.
  float exponentials(const float* scores, const WindowAttention& o, const float* bias, int64_t t, V* e) const {
    const int64_t vectors = tokens / Lanes::count;
    V most = Lanes::all(-3.0e38F), sum = Lanes::zero();
    for (int64_t i = 0; i < vectors; ++i) {
      e[i] = Lanes::fma(Lanes::load(scores + score(t, i)), Lanes::all(o.scale), Lanes::load(bias + t * tokens + i * Lanes::count));
      most = Lanes::max(most, e[i]);
    }
    const V top = Lanes::all(Lanes::largest(most));
    for (int64_t i = 0; i < vectors; ++i) {
      e[i] = exponential(Lanes::sub(e[i], top));
      sum = Lanes::add(sum, e[i]);
    }
    return Lanes::total(sum);
  }
};

template <class T>
void attend_windows(const Map& qkv, const WindowAttention& o, int64_t first, int64_t last, const Map& result) {
  float q[kTokens * kDepth], matrix[kTokens * kDepth], kt[kTokens * kDepth], v[kTokens * kDepth], s[kTokens * kTokens],
      p[kTokens * kTokens], sums[kTokens];
  for (int64_t pair = first; pair < last; ++pair) {
    const Head here(qkv, o, result.channels, pair / o.heads);
    const int64_t head = pair % o.heads, tokens = here.tokens, channel = head * here.depth;
    here.read<T>(qkv, channel, q);
    here.read<T>(qkv, channel + result.channels, matrix);
    here.as_transposed_factor(matrix, kt);
    here.read<T>(qkv, channel + 2 * result.channels, matrix);
    here.as_factor(matrix, v);
    products(q, tokens, here.width, kt, here.token_blocks(), s);
    const float* bias = o.bias[here.kind] + head * tokens * tokens;
    for (int64_t t = 0; t < tokens; ++t) {
      V e[kTokens / Lanes::count];
      sums[t] = here.exponentials(s, o, bias, t, e);
      for (int64_t i = 0; i < tokens / Lanes::count; ++i) Lanes::store(p + t * tokens + i * Lanes::count, e[i]);
    }
    products(p, tokens, tokens, v, here.width_blocks(), s);
    here.from_product(
        s, [&](int64_t t) { return 1.0F / sums[t]; }, matrix);
    here.write<T>(matrix, result, channel);
  }
}

// With S = scale Q K^T + B, P = softmax(S), O = P V and dO given: dV = P^T dO, dP = dO V^T, dS = P (dP - sum_j P dP), dQ = scale dS K,
// dK = scale dS^T Q, dB = dS.
template <class T>
void attend_windows_gradient(const Map& qkv, const Map& gradient, const WindowAttention& o, int64_t head, int64_t first, int64_t last,
                             const Map& result, float* bias_gradient) {
  constexpr int64_t kMatrix = kTokens * kDepth, kScores = kTokens * kTokens;
  float q[kMatrix], k[kMatrix], given[kMatrix], turned[kMatrix], factor[kMatrix], p[kScores], ds[kScores], ds_rows[kScores], out[kMatrix];
  for (int64_t window = first; window < last; ++window) {
    const Head here(qkv, o, gradient.channels, window);
    const int64_t tokens = here.tokens, width = here.width, vectors = tokens / Lanes::count, channel = head * here.depth;
    const int64_t to_k = channel + gradient.channels, to_v = to_k + gradient.channels;
    here.read<T>(qkv, channel, q);
    here.read<T>(qkv, to_k, k);
    here.as_transposed_factor(k, factor);
    products(q, tokens, width, factor, here.token_blocks(), p);
    here.read<T>(gradient, channel, given);
    here.read<T>(qkv, to_v, turned);
    here.as_transposed_factor(turned, factor);
    products(given, tokens, width, factor, here.token_blocks(), ds);
    const float* bias = o.bias[here.kind] + head * tokens * tokens;
    for (int64_t t = 0; t < tokens; ++t) {
      V e[kTokens / Lanes::count], sum = Lanes::zero();
      const V share = Lanes::all(1.0F / here.exponentials(p, o, bias, t, e));
      for (int64_t i = 0; i < vectors; ++i) {
        e[i] = Lanes::mul(e[i], share);
        Lanes::store(p + here.score(t, i), e[i]);
        sum = Lanes::fma(e[i], Lanes::load(ds + here.score(t, i)), sum);
      }
      const V mean = Lanes::all(Lanes::total(sum));
      for (int64_t i = 0; i < vectors; ++i) {
        const V value = Lanes::mul(e[i], Lanes::sub(Lanes::load(ds + here.score(t, i)), mean));
        Lanes::store(ds + here.score(t, i), value);
        Lanes::store(ds_rows + t * tokens + i * Lanes::count, value);
      }
    }
    if (bias_gradient != nullptr) {
      for (int64_t i = 0; i < tokens * tokens; i += Lanes::count)
        Lanes::store(bias_gradient + i, Lanes::add(Lanes::load(bias_gradient + i), Lanes::load(ds_rows + i)));
    }
    here.as_factor(k, factor);
    products(ds_rows, tokens, tokens, factor, here.width_blocks(), out);
    here.from_product(
        out, [&](int64_t) { return o.scale; }, k);
    here.write<T>(k, result, channel);
    here.transposed(q, turned);
    products(turned, width, tokens, ds, here.token_blocks(), out);
    here.from_transposed_product(out, o.scale, q);
    here.write<T>(q, result, to_k);
    here.transposed(given, turned);
    products(turned, width, tokens, p, here.token_blocks(), out);
    here.from_transposed_product(out, 1.0F, given);
    here.write<T>(given, result, to_v);
  }
}

void attend(const Map& qkv, const WindowAttention& options, int64_t first, int64_t last, const Map& result) {
  if (qkv.bfloat16) return attend_windows<uint16_t>(qkv, options, first, last, result);
  attend_windows<float>(qkv, options, first, last, result);
}

void attend_gradient(const Map& qkv, const Map& gradient, const WindowAttention& options, int64_t head, int64_t first, int64_t last,
                     const Map& result, float* bias_gradient) {
  if (qkv.bfloat16) return attend_windows_gradient<uint16_t>(qkv, gradient, options, head, first, last, result, bias_gradient);
  attend_windows_gradient<float>(qkv, gradient, options, head, first, last, result, bias_gradient);
}

}  // namespace
}  // namespace lpnsr::kernels
