#include <cmath>

#include <gtest/gtest.h>

#include "degradation/random_field.h"

namespace lpnsr {
namespace {

TEST(RandomField, BitsAreUniformAndRepeat) {
  constexpr int64_t kCount = 1 << 20;
  std::vector<uint32_t> bits(kCount), again(kCount);
  RandomField field(5), same(5), other(6);
  field.fill_bits(bits.data(), kCount);
  same.fill_bits(again.data(), kCount);
  EXPECT_EQ(bits, again);
  other.fill_bits(again.data(), kCount);
  EXPECT_NE(bits, again);
  // Each bit is set half of the time, and agrees with that of the next draws, lane neighbours and lanes, half of the time.
  for (int bit = 0; bit < 32; ++bit) {
    for (const size_t distance : {0, 1, 8}) {
      double ones = 0.0;
      for (size_t i = distance; i < bits.size(); ++i) ones += ((bits[i] ^ (distance == 0 ? 0 : bits[i - distance])) >> bit) & 1U;
      EXPECT_NEAR(ones / kCount, 0.5, 4.5 * 0.5 / std::sqrt(kCount)) << bit << " " << distance;
    }
  }
}

TEST(RandomField, NormalsFollowTheLaw) {
  std::vector<float> normals(1000003);
  RandomField(9).fill_normals(normals.data(), static_cast<int64_t>(normals.size()));
  const auto n = static_cast<double>(normals.size());
  double sum = 0, squares = 0, fourth = 0, pairs = 0;
  for (size_t i = 0; i < normals.size(); ++i) {
    const double x = normals[i];
    sum += x, squares += x * x, fourth += x * x * x * x;
    if (i > 0) pairs += x * normals[i - 1];
  }
  EXPECT_NEAR(sum / n, 0.0, 4.5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 4.5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3.0, 4.5 * std::sqrt(96 / n));
  EXPECT_NEAR(pairs / n, 0.0, 4.5 / std::sqrt(n));
  // Kolmogorov and Smirnov's distance from the whole law.
  std::sort(normals.begin(), normals.end());
  double distance = 0.0;
  for (size_t i = 0; i < normals.size(); ++i) {
    const double law = 0.5 * std::erfc(-normals[i] / std::sqrt(2.0));
    distance = std::max({distance, law - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - law});
  }
  EXPECT_LT(distance * std::sqrt(n), 2.23);
  EXPECT_GT(normals.back(), 4.0F);  // the tails are there
  EXPECT_LT(normals.front(), -4.0F);
}

}  // namespace
}  // namespace lpnsr
