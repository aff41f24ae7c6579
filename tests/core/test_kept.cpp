#include "core/kept.h"
#include "tests/support/fixtures.h"

namespace lpnsr {
namespace {

class KeptTest : public ::testing::Test {
 protected:
  at::Tensor of(at::TensorList weights, int key = 0) {
    return kept_.of(weights, key, [&] {
      ++made_;
      return torch::full({1}, key);
    });
  }
  at::Tensor weight_ = torch::ones({2});
  Kept<int, at::Tensor> kept_;
  int made_ = 0;
};

TEST_F(KeptTest, OneForEachKeyUntilAWeightIsWrittenTo) {
  const auto first = of({weight_}, 1);
  EXPECT_TRUE(of({weight_}, 1).is_same(first));
  EXPECT_FALSE(of({weight_}, 2).is_same(first));
  EXPECT_EQ(made_, 2);
  weight_.add_(1);
  EXPECT_FALSE(of({weight_}, 1).is_same(first));
  weight_.set_data(torch::ones({2}));
  of({weight_}, 1);
  EXPECT_EQ(made_, 4);
}

TEST_F(KeptTest, ThereMayBeNoWeights) {
  EXPECT_TRUE(of({}).is_same(of({})));
  EXPECT_EQ(made_, 1);
}

TEST_F(KeptTest, TrainedWeightsKeepNothing) {
  weight_.requires_grad_(true);
  of({weight_});
  of({weight_});
  EXPECT_EQ(made_, 2);
}

TEST_F(KeptTest, ARecordingKeepsNothingAndHoldsWhatItFinds) {
  at::Tensor found = of({weight_}, 1);
  std::vector<std::any> held;
  {
    RecordingScope recording(RecordingScope::Weights::stay);
    EXPECT_TRUE(of({weight_}, 1).is_same(found));
    of({weight_}, 2);
    held = recording.held();
  }
  EXPECT_EQ(made_, 2);
  of({weight_}, 2);
  EXPECT_EQ(made_, 3) << "what was made while recording was not kept";
  weight_.add_(1);
  of({weight_});
  EXPECT_EQ(found.use_count(), 2U) << "the recording's, which outlives the cache's";
}

TEST_F(KeptTest, ARecordingThatFollowsItsWeightsMakesAllOfThemItself) {
  const at::Tensor of_weight = of({weight_});
  Kept<int, at::Tensor> without_weights;
  const auto make = [] { return torch::ones({1}); };
  const at::Tensor constant = without_weights.of({}, 0, make);
  const RecordingScope recording(RecordingScope::Weights::change);
  EXPECT_FALSE(of({weight_}).is_same(of_weight));
  EXPECT_TRUE(without_weights.of({}, 0, make).is_same(constant));
}

}  // namespace
}  // namespace lpnsr
