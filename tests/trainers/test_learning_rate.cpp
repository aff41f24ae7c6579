#include <gmock/gmock.h>

#include "trainers/learning_rate.h"

namespace lpnsr {
namespace {

TEST(LearningRate, CosineStepsOnceAnEpoch) {
  LearningRateOptions options;
  options.value = 5e-5;
  options.minimum = 1e-5;
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, 20, 5), 5e-5);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 4, 20, 5), 5e-5);
  EXPECT_NEAR(learning_rate_at(options, 10, 20, 5), 3e-5, 1e-18);  // half of the epochs are done
  EXPECT_EQ(learning_rate_at(options, 10, 20, 5), learning_rate_at(options, 14, 20, 5));
}

TEST(LearningRate, CosineByIterationFallsToTheMinimum) {
  LearningRateOptions options;
  options.per = "iteration";
  double previous = 1.0;
  for (int64_t i = 0; i < 100; ++i) {
    const double rate = learning_rate_at(options, i, 100, 7);
    EXPECT_LT(rate, previous);
    EXPECT_GT(rate, options.minimum);
    previous = rate;
  }
  EXPECT_NEAR(learning_rate_at(options, 100, 100, 7), options.minimum, 1e-18);
}

TEST(LearningRate, WarmsUpAsPublished) {
  LearningRateOptions options;
  options.schedule = "constant";
  options.value = 1.0;
  options.warmup = 4;
  std::vector<double> rates;
  for (int64_t i = 0; i < 7; ++i) rates.push_back(learning_rate_at(options, i, 100, 10));
  EXPECT_EQ(rates, (std::vector<double>{1.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0}));  // the first iteration runs at the full rate
}

}  // namespace
}  // namespace lpnsr
