#include "degradation/random_field.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "core/vectorised.h"

namespace lpnsr {
namespace {

constexpr int64_t kChunk = 256;  // draws that are turned into normals together

using Eight = uint32_t __attribute__((vector_size(32)));  // one register; two halves where processors have none so wide

LPNSR_INLINE void turn(Eight& value, int by) { value = value << by | value >> (32 - by); }

// log(u) of u in (0, 1], relative error below 2e-7: u = m 2^e with m in [sqrt(1/2), sqrt(2)), log(m) = 2 atanh((m - 1) / (m + 1)).
LPNSR_INLINE float fast_log(float u) {
  const auto bits = std::bit_cast<int32_t>(u);
  const int32_t exponent = (bits - 0x3F3504F3) >> 23;
  const float mantissa = std::bit_cast<float>(bits - exponent * (1 << 23));
  const float z = (mantissa - 1.0F) / (mantissa + 1.0F), z2 = z * z;
  const float series = 2.0F + z2 * (0.66666667F + z2 * (0.4F + z2 * (0.28571430F + z2 * 0.2229F)));
  return static_cast<float>(exponent) * 0.69314718F + z * series;
}

// Sine and cosine of an angle of a turn's quarter in [-1/2, 1/2] right angles: their Taylor polynomials, below 1e-7 off.
LPNSR_INLINE float sine_near_zero(float x) {
  const float x2 = x * x;
  return x * (1.0F + x2 * (-0.16666667F + x2 * (8.3333333e-3F + x2 * (-1.9841270e-4F + x2 * 2.7557319e-6F))));
}
LPNSR_INLINE float cosine_near_zero(float x) {
  const float x2 = x * x;
  return 1.0F + x2 * (-0.5F + x2 * (4.1666667e-2F + x2 * (-1.3888889e-3F + x2 * (2.4801587e-5F + x2 * -2.7557319e-7F))));
}

// Two normals from two draws, for each place of the chunk.
LPNSR_VECTORISED void box_muller(const uint32_t* __restrict radii, const uint32_t* __restrict angles, float* __restrict first,
                                 float* __restrict second, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    // (0, 1]: 31 bits, the conversion of signed integers is the one that processors have; zero becomes half a step.
    const float u = (static_cast<float>(static_cast<int32_t>(radii[i] >> 1)) + 0.5F) * 0x1p-31F;
    const float radius = std::sqrt(std::max(0.0F, -2.0F * fast_log(u)));
    const auto quarter = static_cast<int32_t>(angles[i] >> 30);
    const float part = static_cast<float>(static_cast<int32_t>(angles[i] & 0x3FFFFFFFU)) * 0x1p-30F - 0.5F;
    const float x = part * 1.57079633F;
    const float sine = sine_near_zero(x), cosine = cosine_near_zero(x);
    const float a = (quarter & 1) != 0 ? -sine : cosine, b = (quarter & 1) != 0 ? cosine : sine;
    const float sign = (quarter & 2) != 0 ? -radius : radius;
    first[i] = sign * a;
    second[i] = sign * b;
  }
}

}  // namespace

RandomField::RandomField(uint64_t seed) : state_() {
  std::mt19937_64 engine(seed);
  for (auto& words : state_) {
    for (uint32_t& word : words) word = static_cast<uint32_t>(engine() >> 32);
  }
  for (uint32_t& word : state_[0]) word |= 1U;  // never all zeros
}

LPNSR_VECTORISED void RandomField::fill_bits(uint32_t* out, int64_t count) {
  Eight s0, s1, s2, s3;
  std::memcpy(&s0, state_[0].data(), sizeof(Eight));
  std::memcpy(&s1, state_[1].data(), sizeof(Eight));
  std::memcpy(&s2, state_[2].data(), sizeof(Eight));
  std::memcpy(&s3, state_[3].data(), sizeof(Eight));
  for (int64_t i = 0; i < count; i += 8) {
    Eight fresh = s0 + s3;
    turn(fresh, 7);
    fresh += s0;
    const Eight shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    turn(s3, 11);
    if (count - i >= 8) {
      std::memcpy(out + i, &fresh, sizeof(Eight));
    } else {
      std::memcpy(out + i, &fresh, sizeof(uint32_t) * static_cast<size_t>(count - i));
    }
  }
  std::memcpy(state_[0].data(), &s0, sizeof(Eight));
  std::memcpy(state_[1].data(), &s1, sizeof(Eight));
  std::memcpy(state_[2].data(), &s2, sizeof(Eight));
  std::memcpy(state_[3].data(), &s3, sizeof(Eight));
}

void RandomField::fill_normals(float* out, int64_t count) {
  uint32_t bits[2 * kChunk];
  float normals[2 * kChunk];
  for (int64_t done = 0; done < count; done += 2 * kChunk) {
    fill_bits(bits, 2 * kChunk);
    box_muller(bits, bits + kChunk, normals, normals + kChunk, kChunk);
    std::copy_n(normals, std::min<int64_t>(2 * kChunk, count - done), out + done);
  }
}

}  // namespace lpnsr
