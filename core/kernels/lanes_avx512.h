#pragma once
#include <cstdint>
#include <immintrin.h>

namespace lpnsr::kernels {
namespace {

struct Lanes {
  using V = __m512;
  static constexpr int count = 16;
  static constexpr int rows = 14;  // 28 of the 32 registers accumulate
  static V zero() { return _mm512_setzero_ps(); }
  static V all(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static V load(const uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
#ifdef __AVX512BF16__
  static __m256i narrow(V v) {
    const __m256bh half = _mm512_cvtneps_pbh(v);
    __m256i bits;
    __builtin_memcpy(&bits, &half, sizeof bits);
    return bits;
  }
  static void store(uint16_t* p, V v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
  // Two bfloat16 to each lane: of even and of odd.
  static void store_pairs(uint16_t* p, V even, V odd) {
    _mm512_storeu_si512(p, _mm512_or_si512(_mm512_cvtepu16_epi32(narrow(even)), _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow(odd)), 16)));
  }
  static __m512bh pairs(__m512i bits) {
    __m512bh result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  }
  static __m512bh load_factors(const uint16_t* p) { return pairs(_mm512_loadu_si512(p)); }
  static __m512bh all_factors(const uint16_t* p) {  // the two at p
    int two;
    __builtin_memcpy(&two, p, sizeof two);
    return pairs(_mm512_set1_epi32(two));
  }
  static V multiply_add(__m512bh a, __m512bh b, V c) { return _mm512_dpbf16_ps(c, a, b); }  // c + a_even b_even + a_odd b_odd
#else
  // Rounded to nearest, ties to even; a NaN stays one.
  static void store(uint16_t* p, V v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc0));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
  }
#endif
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V reciprocal(V a) { return _mm512_rcp14_ps(a); }  // 14 bits
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  // What a product takes of its factors: here one number to a lane.
  static V load_factors(const float* p) { return load(p); }
  static V all_factors(const float* p) { return all(*p); }
  static V multiply_add(V a, V b, V c) { return fma(a, b, c); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V where_less(V a, V b, V then, V otherwise) { return _mm512_mask_mov_ps(otherwise, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), then); }
  static V nearest(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static V power_of_two(V integral) { return _mm512_scalef_ps(_mm512_set1_ps(1.0F), integral); }
  static void transpose(V* rows) {
    V pairs[count], fours[count];
    for (int i = 0; i < count; i += 2) {
      pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
      pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    const auto low = [](V a, V b) { return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))); };
    const auto high = [](V a, V b) { return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))); };
    for (int i = 0; i < count; i += 4) {  // quarter q of fours[i + j]: column 4 q + j of rows i..i+3
      fours[i] = low(pairs[i], pairs[i + 2]);
      fours[i + 1] = high(pairs[i], pairs[i + 2]);
      fours[i + 2] = low(pairs[i + 1], pairs[i + 3]);
      fours[i + 3] = high(pairs[i + 1], pairs[i + 3]);
    }
    for (int j = 0; j < 4; ++j) {
      const V even_a = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0x88), even_b = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0x88);
      const V odd_a = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0xdd), odd_b = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0xdd);
      rows[j] = _mm512_shuffle_f32x4(even_a, even_b, 0x88);
      rows[4 + j] = _mm512_shuffle_f32x4(odd_a, odd_b, 0x88);
      rows[8 + j] = _mm512_shuffle_f32x4(even_a, even_b, 0xdd);
      rows[12 + j] = _mm512_shuffle_f32x4(odd_a, odd_b, 0xdd);
    }
  }
  static float largest(V a) { return _mm512_reduce_max_ps(a); }
  static float total(V a) { return _mm512_reduce_add_ps(a); }
  static void add_to(double* p, V v) {
    _mm512_storeu_pd(p, _mm512_add_pd(_mm512_loadu_pd(p), _mm512_cvtps_pd(_mm512_castps512_ps256(v))));
    _mm512_storeu_pd(p + 8, _mm512_add_pd(_mm512_loadu_pd(p + 8), _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))));
  }
};

}  // namespace
}  // namespace lpnsr::kernels
