#pragma once
// Attention within windows of a map, without copies of the windows. Included after the Lanes of one instruction set.
#include "core/kernels/winograd.h"

namespace lpnsr::kernels {
namespace {

constexpr int64_t kTokens = kMostWindowTokens, kDepth = kMostHeadChannels;

// rows x (blocks of kFilters columns): c [blocks][rows][kFilters] = a [rows][depth] b [blocks][depth][kFilters].
inline void products(const float* a, int64_t rows, int64_t depth, const float* b, int64_t blocks, float* c) {
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t row = 0; row < rows; row += Lanes::rows) {
      const int64_t some = rows - row < Lanes::rows ? rows - row : Lanes::rows;
      product_of<Lanes::rows>(some, a + row * depth, b + block * depth * kFilters, depth, c + (block * rows + row) * kFilters);
    }
  }
}

template <class T>
void attend_windows(const Map& qkv, const WindowAttention& o, int64_t first, int64_t last, const Map& result) {
  const int64_t w = o.window, tokens = w * w, depth = qkv.channels / (3 * o.heads), blocks = tokens / kFilters;
  const int64_t depth_blocks = (depth + kFilters - 1) / kFilters, rows = qkv.height / w, columns = qkv.width / w;
  float q[kTokens * kDepth], kt[kTokens * kDepth], v[kTokens * kDepth], s[kTokens * kTokens], p[kTokens * kTokens], mixed[kTokens * kDepth];
  for (int64_t i = 0; i < kTokens * kDepth; ++i) v[i] = 0.0F;  // the columns beyond `depth` stay so
  int64_t pixels[kTokens];
  for (int64_t task = first; task < last; ++task) {
    const int64_t head = task % o.heads, window = task / o.heads;
    const int64_t column = window % columns, row = window / columns % rows, picture = window / (columns * rows);
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t y = (row * w + t / w + o.shift) % qkv.height, x = (column * w + t % w + o.shift) % qkv.width;
      pixels[t] = (picture * qkv.height + y) * qkv.width + x;
      const T* from = static_cast<const T*>(qkv.data) + pixels[t] * qkv.channels + head * depth;
      float *to_k = kt + t / kFilters * depth * kFilters + t % kFilters, *to_v = v + t * kFilters;
      for (int64_t d = 0; d < depth; ++d) {
        q[t * depth + d] = as_float(from[d]);
        to_k[d * kFilters] = as_float(from[o.heads * depth + d]);
      }
      for (int64_t d = 0; d < depth; ++d) {
        to_v[d / kFilters * tokens * kFilters + d % kFilters] = as_float(from[2 * o.heads * depth + d]);
      }
    }
    products(q, tokens, depth, kt, blocks, s);
    const float* bias = o.bias[(row == rows - 1 ? 2 : 0) + (column == columns - 1 ? 1 : 0)] + head * tokens * tokens;
    float sums[kTokens];
    for (int64_t t = 0; t < tokens; ++t) {
      V scores[kTokens / Lanes::count], most = Lanes::all(-3.0e38F), sum = Lanes::zero();
      const int64_t vectors = tokens / Lanes::count;
      for (int64_t i = 0; i < vectors; ++i) {
        const float* from = s + (i / 2 * tokens + t) * kFilters + i % 2 * Lanes::count;
        scores[i] = Lanes::fma(Lanes::load(from), Lanes::all(o.scale), Lanes::load(bias + t * tokens + i * Lanes::count));
        most = Lanes::max(most, scores[i]);
      }
      const V top = Lanes::all(Lanes::largest(most));
      for (int64_t i = 0; i < vectors; ++i) {
        const V e = exponential(Lanes::sub(scores[i], top));
        sum = Lanes::add(sum, e);
        Lanes::store(p + t * tokens + i * Lanes::count, e);
      }
      sums[t] = Lanes::total(sum);
    }
    products(p, tokens, tokens, v, depth_blocks, mixed);
    for (int64_t t = 0; t < tokens; ++t) {
      T line[kDepth];
      const V share = Lanes::all(1.0F / sums[t]);
      for (int64_t i = 0; i < 2 * depth_blocks; ++i) {
        const float* from = mixed + (i / 2 * tokens + t) * kFilters + i % 2 * Lanes::count;
        Lanes::store(line + i * Lanes::count, Lanes::mul(Lanes::load(from), share));
      }
      T* to = static_cast<T*>(result.data) + pixels[t] * result.channels + head * depth;
      for (int64_t d = 0; d < depth; ++d) to[d] = line[d];
    }
  }
}

void attend(const Map& qkv, const WindowAttention& options, int64_t first, int64_t last, const Map& result) {
  if (qkv.bfloat16) return attend_windows<uint16_t>(qkv, options, first, last, result);
  attend_windows<float>(qkv, options, first, last, result);
}

}  // namespace
}  // namespace lpnsr::kernels
