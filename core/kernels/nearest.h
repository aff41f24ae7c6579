#pragma once
// The nearest of many vectors. Included after the Lanes of one instruction set.
#include "core/kernels/elementwise.h"

namespace lpnsr::kernels {
namespace {

template <int points_at_once>
void nearest_of(const float* points, const Codes& codes, int64_t* result) {
  V least[points_at_once], places[points_at_once];
  for (int i = 0; i < points_at_once; ++i) {
    least[i] = Lanes::all(3.402823466e38F);
    places[i] = Lanes::zero();
  }
  for (int64_t block = 0; block < codes.count; block += Lanes::count) {
    V products[points_at_once];
    for (int i = 0; i < points_at_once; ++i) products[i] = Lanes::zero();
    for (int64_t d = 0; d < codes.depth; ++d) {
      const V code = Lanes::load(codes.values + d * codes.count + block);
      for (int i = 0; i < points_at_once; ++i) products[i] = Lanes::fma(Lanes::all(points[i * codes.depth + d]), code, products[i]);
    }
    const V square = Lanes::load(codes.squares + block), place = Lanes::all(static_cast<float>(block / Lanes::count));
    for (int i = 0; i < points_at_once; ++i) {
      const V distance = Lanes::fma(Lanes::all(-2.0F), products[i], square);
      places[i] = Lanes::where_less(distance, least[i], place, places[i]);
      least[i] = Lanes::min(distance, least[i]);
    }
  }
  for (int i = 0; i < points_at_once; ++i) {
    float distances[Lanes::count], blocks[Lanes::count];
    Lanes::store(distances, least[i]);
    Lanes::store(blocks, places[i]);
    int64_t best = 0;
    const auto code = [&](int64_t lane) { return static_cast<int64_t>(blocks[lane]) * Lanes::count + lane; };
    for (int64_t lane = 1; lane < Lanes::count; ++lane) {
      if (distances[lane] < distances[best] || (distances[lane] == distances[best] && code(lane) < code(best))) best = lane;
    }
    result[i] = code(best);
  }
}

void nearest(const float* points, const Codes& codes, int64_t first, int64_t last, int64_t* result) {
  constexpr int64_t kAtOnce = 4;
  int64_t i = first;
  for (; i + kAtOnce <= last; i += kAtOnce) nearest_of<kAtOnce>(points + i * codes.depth, codes, result + i);
  for (; i < last; ++i) nearest_of<1>(points + i * codes.depth, codes, result + i);
}

}  // namespace
}  // namespace lpnsr::kernels
