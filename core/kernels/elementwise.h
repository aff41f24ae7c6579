#pragma once
// Included after the Lanes of one instruction set.
#include "core/kernels/kernels.h"

namespace lpnsr::kernels {
namespace {

using V = Lanes::V;

inline float as_float(float x) { return x; }
inline float as_float(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// exp(x), relative error below 2e-7 where |x| < 87; smaller x give the smallest such number, larger ones the largest. NaN
// stays NaN: of minimum and maximum the second operand is the result then.
inline V exponential(V x) {
  x = Lanes::max(Lanes::all(-87.0F), Lanes::min(Lanes::all(87.0F), x));
  const V n = Lanes::nearest(Lanes::mul(x, Lanes::all(1.44269504F)));
  V r = Lanes::fma(n, Lanes::all(-0.693359375F), x);  // ln 2 in two parts: the first product is exact
  r = Lanes::fma(n, Lanes::all(2.12194440e-4F), r);
  V p = Lanes::all(1.0F / 5040);
  constexpr float taylor[] = {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F};
  for (const float c : taylor) p = Lanes::fma(p, r, Lanes::all(c));
  return Lanes::mul(p, Lanes::power_of_two(n));
}

// For values that are kept as T: in bfloat16 three more digits than that has are enough.
template <class T>
V sigmoid(V x) {
  return Lanes::div(Lanes::all(1.0F), Lanes::add(Lanes::all(1.0F), exponential(Lanes::sub(Lanes::zero(), x))));
}
template <>
inline V sigmoid<uint16_t>(V x) {
  const V power = Lanes::max(Lanes::min(Lanes::mul(x, Lanes::all(-1.44269504F)), Lanes::all(125.0F)), Lanes::all(-125.0F));
  const V n = Lanes::nearest(power), r = Lanes::sub(power, n);  // 2^r, |r| <= 1/2, by Taylor's polynomial: relative error 5e-5
  V p = Lanes::all(9.6181e-3F);
  constexpr float taylor[] = {5.55041e-2F, 0.240226507F, 0.693147181F, 1.0F};
  for (const float c : taylor) p = Lanes::fma(p, r, Lanes::all(c));
  return Lanes::reciprocal(Lanes::fma(p, Lanes::power_of_two(n), Lanes::all(1.0F)));
}

// The prologue of values of type T at one place of the channels: loaded once, used for many pixels.
template <class T>
struct PrologueHere {
  V scale, shift;
  bool affine, silu;
  PrologueHere(const Prologue& p, int64_t at)
      : scale(p.scale != nullptr ? Lanes::load(p.scale + at) : Lanes::zero()),
        shift(p.scale != nullptr ? Lanes::load(p.shift + at) : Lanes::zero()),
        affine(p.scale != nullptr),
        silu(p.silu) {}
  V argument(V x) const { return affine ? Lanes::fma(x, scale, shift) : x; }
  V operator()(V x) const {
    x = argument(x);
    return silu ? Lanes::mul(x, sigmoid<T>(x)) : x;
  }
  // Of the loss in argument(x), given its gradient in (*this)(x).
  V gradient(V x, V of_result) const {
    if (!silu) return of_result;
    const V z = argument(x), s = sigmoid<T>(z);  // (z s)' = s (1 + z (1 - s))
    return Lanes::mul(of_result, Lanes::mul(s, Lanes::fma(z, Lanes::sub(Lanes::all(1.0F), s), Lanes::all(1.0F))));
  }
};

constexpr int64_t kRun = 128;  // values that are added in single precision

template <class T>
void moments_of(const Map& map, int64_t picture, int64_t first, int64_t last, const float* pivot, double* sum, double* square) {
  const int64_t channels = map.channels;
  const T* base = static_cast<const T*>(map.data) + picture * map.height * map.width * channels;
  for (int64_t c = 0; c < channels; c += Lanes::count) {
    for (int i = 0; i < Lanes::count; ++i) sum[c + i] = square[c + i] = 0.0;
  }
  for (int64_t start = first; start < last; start += kRun) {
    const int64_t end = start + kRun < last ? start + kRun : last;
    for (int64_t c = 0; c < channels; c += Lanes::count) {
      const V middle = Lanes::load(pivot + c);
      V s = Lanes::zero(), q = Lanes::zero();
      for (int64_t p = start; p < end; ++p) {
        const V x = Lanes::sub(Lanes::load(base + p * channels + c), middle);
        s = Lanes::add(s, x);
        q = Lanes::fma(x, x, q);
      }
      Lanes::add_to(sum + c, s);
      Lanes::add_to(square + c, q);
    }
  }
}

void moments(const Map& map, int64_t picture, int64_t first, int64_t last, const float* pivot, double* sum, double* square) {
  if (map.bfloat16) return moments_of<uint16_t>(map, picture, first, last, pivot, sum, square);
  moments_of<float>(map, picture, first, last, pivot, sum, square);
}

template <class T>
void apply_to(const Map& map, const Prologue& prologue, int64_t picture, int64_t first, int64_t last, const Map& result) {
  const int64_t channels = map.channels, start = picture * map.height * map.width;
  const T* x = static_cast<const T*>(map.data);
  T* y = static_cast<T*>(result.data);
  for (int64_t p = start + first; p < start + last; ++p) {
    for (int64_t c = 0; c < channels; c += Lanes::count) {
      const PrologueHere<T> here(prologue, picture * channels + c);
      Lanes::store(y + p * channels + c, here(Lanes::load(x + p * channels + c)));
    }
  }
}

void apply(const Map& map, const Prologue& prologue, int64_t picture, int64_t first, int64_t last, const Map& result) {
  if (map.bfloat16) return apply_to<uint16_t>(map, prologue, picture, first, last, result);
  apply_to<float>(map, prologue, picture, first, last, result);
}

template <class T>
void gradient_sums_of(const Map& map, const Map& gradient, const Prologue& prologue, const float* pivot, int64_t picture, int64_t first,
                      int64_t last, double* sum, double* product) {
  const int64_t channels = map.channels, start = picture * map.height * map.width;
  const T* x = static_cast<const T*>(map.data) + start * channels;
  const T* dy = static_cast<const T*>(gradient.data) + start * channels;
  for (int64_t c = 0; c < channels; ++c) sum[c] = product[c] = 0.0;
  for (int64_t run = first; run < last; run += kRun) {
    const int64_t end = run + kRun < last ? run + kRun : last;
    for (int64_t c = 0; c < channels; c += Lanes::count) {
      const PrologueHere<T> here(prologue, picture * channels + c);
      const V middle = Lanes::load(pivot + c);
      V s = Lanes::zero(), q = Lanes::zero();
      for (int64_t p = run; p < end; ++p) {
        const V value = Lanes::load(x + p * channels + c);
        const V dz = here.gradient(value, Lanes::load(dy + p * channels + c));
        s = Lanes::add(s, dz);
        q = Lanes::fma(dz, Lanes::sub(value, middle), q);
      }
      Lanes::add_to(sum + c, s);
      Lanes::add_to(product + c, q);
    }
  }
}

void gradient_sums(const Map& map, const Map& gradient, const Prologue& prologue, const float* pivot, int64_t picture, int64_t first,
                   int64_t last, double* sum, double* product) {
  if (map.bfloat16) return gradient_sums_of<uint16_t>(map, gradient, prologue, pivot, picture, first, last, sum, product);
  gradient_sums_of<float>(map, gradient, prologue, pivot, picture, first, last, sum, product);
}

template <class T>
void apply_gradient_to(const Map& map, const Map& gradient, const Prologue& prologue, const float* slope, const float* offset,
                       int64_t picture, int64_t first, int64_t last, const Map& result) {
  const int64_t channels = map.channels, start = picture * map.height * map.width;
  const T* x = static_cast<const T*>(map.data);
  const T* dy = static_cast<const T*>(gradient.data);
  T* dx = static_cast<T*>(result.data);
  for (int64_t p = start + first; p < start + last; ++p) {
    for (int64_t c = 0; c < channels; c += Lanes::count) {
      const int64_t at = picture * channels + c;
      const PrologueHere<T> here(prologue, at);
      const V value = Lanes::load(x + p * channels + c), dz = here.gradient(value, Lanes::load(dy + p * channels + c));
      Lanes::store(dx + p * channels + c, Lanes::fma(dz, here.scale, Lanes::fma(value, Lanes::load(slope + at), Lanes::load(offset + at))));
    }
  }
}

void apply_gradient(const Map& map, const Map& gradient, const Prologue& prologue, const float* slope, const float* offset, int64_t picture,
                    int64_t first, int64_t last, const Map& result) {
  if (map.bfloat16) return apply_gradient_to<uint16_t>(map, gradient, prologue, slope, offset, picture, first, last, result);
  apply_gradient_to<float>(map, gradient, prologue, slope, offset, picture, first, last, result);
}

}  // namespace
}  // namespace lpnsr::kernels
