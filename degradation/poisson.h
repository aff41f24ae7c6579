#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/random.h"

namespace lpnsr {

// Poisson-distributed counts, exact for any rate: inversion for small rates, transformed rejection (Hörmann 1993, PTRS) above.
int64_t draw_poisson(double rate, RandomStream& stream);

// Counts of the rates level / 255 * at_white, level 0..255, by Walker's alias method: one draw of 32 bits and one look into a table a
// count. Probabilities are right to 2^-32.
class PoissonTable {
 public:
  static const PoissonTable& of(int64_t at_white);  // a power of two from 1 to 256; made once
  // counts[i] from bits[i], uniform over 32 bits.
  void draw(const uint8_t* levels, const uint32_t* bits, float* counts, int64_t size) const;

 private:
  explicit PoissonTable(int64_t at_white);
  static constexpr int kSlots = 256;
  std::vector<uint32_t> slots_;                // [level][slot]: threshold << 8 | the slot taken at or above it
  std::array<int32_t, 256> smallest_count_{};  // of slot 0 of a level
};

}  // namespace lpnsr
