#include <set>

#include <gmock/gmock.h>

#include "core/error.h"
#include "trainers/pair_pool.h"

namespace lpnsr {
namespace {

TEST(PairPool, WithoutOneSamplesComeInOrder) {
  PairPool pool(0, 3, 1);
  EXPECT_THAT(pool.next(), ::testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(pool.next(), ::testing::ElementsAre(3, 4, 5));
}

// As in Real-ESRGAN: batches are used as they come while the pool fills; then each sample of the pool is used once more, none is lost.
TEST(PairPool, MixesAndLosesNothing) {
  constexpr int64_t kSize = 12, kBatch = 4, kBatches = 300;
  PairPool pool(kSize, kBatch, 7);
  for (int64_t batch = 0; batch < kSize / kBatch; ++batch) EXPECT_EQ(pool.next().front(), batch * kBatch);
  std::multiset<int64_t> seen;
  double waited = 0.0;
  for (int64_t batch = kSize / kBatch; batch < kBatches; ++batch) {
    std::set<int64_t> origins;
    for (const int64_t sample : pool.next()) {
      seen.insert(sample);
      EXPECT_LT(sample, batch * kBatch) << "a sample that was just put in";
      waited += static_cast<double>(batch - sample / kBatch);
    }
  }
  for (const int64_t sample : seen) EXPECT_EQ(seen.count(sample), 1U) << sample;
  EXPECT_EQ(seen.size(), static_cast<size_t>((kBatches - kSize / kBatch) * kBatch));
  EXPECT_NEAR(waited / static_cast<double>(seen.size()), static_cast<double>(kSize) / kBatch, 0.3);  // a geometric wait
}

TEST(PairPool, MustBeAMultipleOfTheBatch) { EXPECT_THROW(PairPool(10, 4, 1), UsageError); }

}  // namespace
}  // namespace lpnsr
