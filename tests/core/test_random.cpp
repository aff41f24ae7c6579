#include "core/error.h"
#include "core/random.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(StreamSeed, SetsSeedsNamesAndIndicesApart) {
  std::set<uint64_t> seeds;
  for (const uint64_t seed : {0, 1, 2}) {
    for (const char* name : {"", "degradation", "crop"}) {
      seeds.insert(stream_seed(seed, name));
      for (uint64_t i = 0; i < 20; ++i) {
        seeds.insert(stream_seed(seed, name, {i}));
        for (uint64_t j = 0; j < 20; ++j) seeds.insert(stream_seed(seed, name, {i, j}));
      }
    }
  }
  EXPECT_EQ(seeds.size(), 3U * 3U * (1 + 20 + 400));
}

// From a Python computation of FNV-1a and SplitMix64 and of MT19937-64 on the resulting seed.
TEST(StreamSeed, IsFixedForEver) {
  EXPECT_EQ(stream_seed(0, ""), 14087677454934409008ULL);
  EXPECT_EQ(stream_seed(12345, "degradation", {3, 1000000}), 10341899630517590466ULL);
}

TEST(RandomStream, DrawsAreFixedForEver) {
  RandomStream stream(stream_seed(12345, "degradation", {3, 1000000}));
  EXPECT_EQ(stream.bits(), 10716237194198098038ULL);
  EXPECT_EQ(stream.uniform(), 0x1.a3ad9d773b598p-4);
  EXPECT_EQ(stream.uniform(-2.0, 5.0), 0x1.5f632c6c7aed2p+1);
  EXPECT_EQ(stream.integer(-3, 1000), 607);
  EXPECT_DOUBLE_EQ(stream.normal(), 0.5803593485840958);
  // [rand.predef]: the 10000th draw of a default-seeded mt19937_64.
  RandomStream standard(5489);
  for (int i = 1; i < 10000; ++i) standard.bits();
  EXPECT_EQ(standard.bits(), 9981545732273789042ULL);
}

TEST(RandomStream, UniformHasTheRightMoments) {
  RandomStream stream(1);
  double sum = 0.0, squares = 0.0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double value = stream.uniform(2.0, 4.0);
    ASSERT_GE(value, 2.0);
    ASSERT_LT(value, 4.0);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 3.0, 0.01);
  EXPECT_NEAR(squares / kCount - mean * mean, 4.0 / 12.0, 0.01);
}

TEST(RandomStream, AnEmptyOrTinyIntervalStaysInside) {
  RandomStream stream(1);
  EXPECT_EQ(stream.uniform(3.0, 3.0), 3.0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(stream.uniform(1.0, std::nextafter(1.0, 2.0)), 1.0);
}

TEST(RandomStream, IntegersIncludeBothEndsEvenly) {
  RandomStream stream(2);
  std::map<int64_t, int> counts;
  for (int i = 0; i < 60000; ++i) ++counts[stream.integer(-1, 4)];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [value, count] : counts) EXPECT_NEAR(count, 10000, 450) << value;
  EXPECT_EQ(stream.integer(7, 7), 7);
  const int64_t lowest = std::numeric_limits<int64_t>::min(), highest = std::numeric_limits<int64_t>::max();
  bool negative = false, positive_seen = false;
  for (int i = 0; i < 64; ++i) (stream.integer(lowest, highest) < 0 ? negative : positive_seen) = true;
  EXPECT_TRUE(negative && positive_seen);
  EXPECT_THROW_MESSAGE(stream.integer(2, 1), Error, HasSubstr("[2, 1]"));
}

TEST(RandomStream, NormalHasTheRightMoments) {
  RandomStream stream(3);
  double sum = 0.0, squares = 0.0, fourth = 0.0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double value = stream.normal();
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0, 0.015);
  EXPECT_NEAR(fourth / kCount, 3.0, 0.15);
}

TEST(RandomStream, ChoosesByWeight) {
  RandomStream stream(4);
  const std::vector<double> weights = {0.0, 1.0, 3.0, 0.0};
  std::vector<int> counts(4, 0);
  for (int i = 0; i < 40000; ++i) ++counts[stream.choose(weights)];
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 10000, 400);
  EXPECT_NEAR(counts[2], 30000, 400);
  EXPECT_EQ(counts[3], 0);
  EXPECT_THROW(stream.choose(std::vector<double>{}), Error);
  EXPECT_THROW(stream.choose(std::vector<double>{0.0, 0.0}), Error);
  EXPECT_THROW(stream.choose(std::vector<double>{1.0, -1.0}), Error);
  EXPECT_THROW(stream.choose(std::vector<double>{1.0, std::nan("")}), Error);
}

TEST(RandomStream, ChanceAtItsEnds) {
  RandomStream stream(5);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(stream.chance(0.0));
    EXPECT_TRUE(stream.chance(1.0));
  }
}

TEST(Generator, StateContinuesTheSequence) {
  at::Generator generator = make_generator(7);
  at::randn({5}, generator);  // an odd count leaves a cached normal behind, which belongs to the state
  at::randn({1}, generator, at::kDouble);
  const at::Tensor state = generator_state(generator);
  EXPECT_EQ(state.scalar_type(), at::kByte);
  const at::Tensor expected = at::randn({37}, generator);
  at::Generator other = make_generator(0);
  set_generator_state(other, state);
  EXPECT_TRUE(at::equal(at::randn({37}, other), expected));
  set_generator_state(generator, state);
  EXPECT_TRUE(at::equal(at::randn({37}, generator), expected));
}

TEST(Generator, RefusesAStateThatIsNone) {
  at::Generator generator = make_generator(7);
  const at::Tensor expected = at::randn({4}, make_generator(7));
  EXPECT_THROW(set_generator_state(generator, at::zeros({3}, at::kByte)), DataError);
  EXPECT_THROW(set_generator_state(generator, at::zeros({5056}, at::kFloat)), DataError);
  EXPECT_TRUE(at::equal(at::randn({4}, generator), expected));
}

}  // namespace
}  // namespace lpnsr
