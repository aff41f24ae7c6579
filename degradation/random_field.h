#pragma once
// Random numbers by the picture: a field of them costs about as much as reading the picture.
#include <array>
#include <cstdint>

namespace lpnsr {

// Eight generators (Blackman and Vigna's xoshiro128++) side by side, one vector register wide; draws come from each in turn.
class RandomField {
 public:
  explicit RandomField(uint64_t seed);
  void fill_bits(uint32_t* out, int64_t count);  // uniform over 32 bits
  void fill_normals(float* out, int64_t count);  // N(0,1) by Box and Muller's method in single precision, |n| < 6.7

 private:
  using Lanes = std::array<uint32_t, 8>;
  std::array<Lanes, 4> state_;
};

}  // namespace lpnsr
