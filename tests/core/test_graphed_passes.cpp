#include <torch/nn/modules/linear.h>

#include "core/graphed_passes.h"
#include "tests/support/fixtures.h"
#include "tests/support/tape_recorder.h"

namespace lpnsr {
namespace {

// On the CPU a tape takes the graph's place.
class GraphedPassesTest : public ::testing::Test {
 protected:
  GraphedPassesTest() {
    network_->weight.requires_grad_(false);
    network_->weight.copy_(torch::tensor({{2.0F}}));
  }

  at::Tensor run(const at::Tensor& x, const at::Tensor& constant = {}) {
    return passes_.run(*network_, {x, at::Tensor()}, constant, [this](const std::vector<at::Tensor>& inputs) {
      ++passes_made_;
      EXPECT_FALSE(inputs[1].defined());
      return network_->forward(inputs[0]);
    });
  }
  float value(float x, const at::Tensor& constant = {}) { return run(torch::full({1, 1}, x), constant).item<float>(); }

  torch::NoGradGuard no_gradients_;
  torch::nn::Linear network_{torch::nn::LinearOptions(1, 1).bias(false)};
  int passes_made_ = 0, recorded_ = 0, replayed_ = 0;
  std::function<void(const std::function<void()>&)> replay_ = [](const std::function<void()>& replay) { replay(); };
  GraphedPasses passes_{c10::kCPU, [this](c10::Device device, const std::function<void()>& work) {
                          ++recorded_;
                          return [this, replay = testing::tape_recorder()(device, work)] {
                            ++replayed_;
                            replay_(replay);
                          };
                        }};
};

TEST_F(GraphedPassesTest, WhatComesTwiceIsRecordedAndThenReplayed) {
  const GraphScope graphs(true);
  EXPECT_EQ(value(1), 2);
  EXPECT_EQ(recorded_, 0);
  EXPECT_EQ(value(3), 6);
  EXPECT_EQ(recorded_, 1);
  EXPECT_EQ(replayed_, 1) << "to compare";
  const auto fifth = run(torch::full({1, 1}, 5.0F));
  EXPECT_EQ(value(7), 14);
  EXPECT_EQ(fifth.item<float>(), 10) << "a result is the caller's, whatever comes after it";
  EXPECT_EQ(recorded_, 1);
  EXPECT_EQ(replayed_, 3);
}

TEST_F(GraphedPassesTest, ShapesTypesAndConstantsHaveTheirOwn) {
  const GraphScope graphs(true);
  const auto one = torch::zeros({1}), other = torch::zeros({1});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(value(1, one), 2);
    EXPECT_EQ(value(1, other), 2);
    EXPECT_EQ(run(torch::ones({4, 1}), one).sum().item<float>(), 8);
  }
  EXPECT_EQ(recorded_, 3);
  network_->to(torch::kFloat64);
  EXPECT_EQ(run(torch::ones({1, 1}, torch::kFloat64), one).item<double>(), 2);
  EXPECT_EQ(recorded_, 3) << "seen for the first time";
}

TEST_F(GraphedPassesTest, NewWeightsAreRecordedAnew) {
  const GraphScope graphs(true);
  for (int i = 0; i < 3; ++i) value(1);
  network_->weight.mul_(2);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(value(1), 4);
  EXPECT_EQ(recorded_, 2);
  network_->weight.set_data(torch::tensor({{5.0F}}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(value(1), 5);
  EXPECT_EQ(recorded_, 3);
}

TEST_F(GraphedPassesTest, OnlyWithinAScopeWithoutGradientsAndTraining) {
  const auto thrice = [&] {
    for (int i = 0; i < 3; ++i) value(1);
  };
  thrice();
  {
    const GraphScope outer(true);
    const GraphScope inner(false);
    thrice();
  }
  thrice();
  const GraphScope graphs(true);
  {
    const torch::AutoGradMode gradients(true);
    thrice();
  }
  network_->weight.requires_grad_(true);
  thrice();
  EXPECT_EQ(recorded_, 0);
  EXPECT_EQ(passes_made_, 15);
}

TEST_F(GraphedPassesTest, WhatCannotBeRecordedOrRepeatedGoesOnAsItIs) {
  const GraphScope graphs(true);
  replay_ = [](const std::function<void()>&) { TORCH_CHECK(false, "operation not permitted when stream is capturing"); };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(value(1), 2);
  EXPECT_EQ(recorded_, 1) << "tried once";
  replay_ = [this](const std::function<void()>& replay) {
    network_->weight.variable_data().mul_(3);
    replay();
    network_->weight.variable_data().div_(3);
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(run(torch::ones({2, 1})).sum().item<float>(), 4) << "the replay says 12";
}

}  // namespace
}  // namespace lpnsr
