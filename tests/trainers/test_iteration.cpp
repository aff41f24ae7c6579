// The part of an iteration that all trainers share: agreement, updates, loss scaling.
#include <cmath>

#include "core/error.h"
#include "tests/support/fixtures.h"
#include "trainers/iteration.h"

namespace lpnsr::testing {
namespace {

// One linear layer whose loss is what the test says, as often as it is asked.
class FakeMethod : public TrainingMethod {
 public:
  explicit FakeMethod(const Experiment& experiment) : layer_(torch::nn::Linear(2, 1)), network_(layer_.ptr(), experiment, 0.9) {}
  std::vector<Due> due(const StepPosition& position) override { return {{&network_, position.learning_rate, "grad_norm"}}; }
  Scalars passes(const Part& part, const StepPosition&, const std::vector<at::Tensor>&) override {
    const at::Tensor loss = layer_(torch::ones({1, 2})).sum() * factor;
    Scalars scalars;
    scalars.add("total", loss);
    network_.backward(loss * gradient_factor, part.of_many, part.last());
    return scalars;
  }
  void updated(const StepPosition&, Metrics&) override { ++updates; }
  std::vector<Member> trained() const override { return {{"fake", &network_}}; }
  at::Tensor restored(const Batch& batch) override { return batch.hr; }

  at::Tensor weight() const { return layer_->weight.detach().clone(); }
  LossScaler& scaler() { return network_.scaler(); }
  double factor = 1.0, gradient_factor = 1.0;
  int updates = 0;

 private:
  torch::nn::Linear layer_;
  mutable TrainedNetwork network_;
};

IterationResult iterate(FakeMethod& method) {
  const Part part{{torch::zeros({1, 3, 4, 4}), torch::zeros({1, 3, 1, 1}), {}, {"a.png"}}, 0, 1};
  return run_iteration(method, {part}, {0, 1, 0.1}, {});
}

TEST(Iteration, ALossThatIsNotFiniteTouchesNothing) {
  FakeMethod method{Experiment()};
  const at::Tensor before = method.weight();
  method.factor = std::nan("");
  ::testing::internal::CaptureStderr();
  const auto result = iterate(method);
  EXPECT_EQ(result.fault, "total is nan");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("pictures: a.png"));
  EXPECT_TRUE(torch::equal(method.weight(), before));
  EXPECT_EQ(method.updates, 0);
}

TEST(Iteration, AGradientThatIsNotFiniteTouchesNothing) {
  FakeMethod method{Experiment()};
  const at::Tensor before = method.weight();
  method.gradient_factor = INFINITY;
  EXPECT_EQ(iterate(method).fault, "grad_norm is inf");
  EXPECT_TRUE(torch::equal(method.weight(), before));
  method.gradient_factor = 1.0;
  EXPECT_EQ(iterate(method).fault, "");
  EXPECT_FALSE(torch::equal(method.weight(), before));
}

TEST(Iteration, AnOverflowInHalfPrecisionLowersTheScaleAndLeavesTheUpdateOut) {
  Experiment experiment;
  experiment.training.precision = "fp16";
  FakeMethod method(experiment);
  const at::Tensor before = method.weight();
  EXPECT_EQ(method.scaler().scale(), 65536.0);
  method.gradient_factor = INFINITY;
  const auto result = iterate(method);
  EXPECT_EQ(result.fault, "");
  EXPECT_EQ(result.metrics.at("overflow"), 1.0);
  EXPECT_EQ(method.scaler().scale(), 32768.0);
  EXPECT_TRUE(torch::equal(method.weight(), before));
  // What no scale mends becomes a fault.
  std::string fault;
  for (int i = 0; i < 20 && fault.empty(); ++i) fault = iterate(method).fault;
  EXPECT_EQ(fault, "grad_norm is inf");
}

TEST(Iteration, TheLossScaleChangesNoUpdate) {
  torch::manual_seed(1);
  FakeMethod plain{Experiment()};
  Experiment experiment;
  experiment.training.precision = "fp16";
  torch::manual_seed(1);
  FakeMethod scaled(experiment);
  const auto one = iterate(plain), two = iterate(scaled);
  EXPECT_DOUBLE_EQ(one.metrics.at("grad_norm"), two.metrics.at("grad_norm"));
  EXPECT_TRUE(torch::equal(plain.weight(), scaled.weight()));  // the scale is a power of two
}

TEST(LossScaler, DoublesAfterTwoThousandUpdatesAndIsPartOfACheckpoint) {
  LossScaler scaler(true);
  for (int i = 0; i < 1999; ++i) scaler.updated();
  EXPECT_EQ(scaler.scale(), 65536.0);
  StateDict saved;
  scaler.save(saved, "");
  LossScaler loaded(true);
  loaded.load(saved, "");
  loaded.updated();
  EXPECT_EQ(loaded.scale(), 131072.0);
  LossScaler inactive(false);
  inactive.overflowed();
  EXPECT_EQ(inactive.scale(), 1.0);
}

TEST(Scalars, AverageOverPartsAndLeaveOutWhatNoPartHeld) {
  Scalars scalars;
  scalars.add("l1", torch::tensor(1.0));
  scalars.add("l1", torch::tensor(3.0));
  scalars.add("mse_t1", torch::tensor(4.0), torch::tensor(2.0));
  scalars.add("mse_t2", torch::tensor(0.0), torch::tensor(0.0));
  EXPECT_EQ(scalars.own(), (Metrics{{"l1", 2.0}, {"mse_t1", 2.0}}));
}

TEST(TrainedNetwork, TheAverageChangesPlacesWithTheWeights) {
  FakeMethod method{Experiment()};
  for (int i = 0; i < 3; ++i) iterate(method);
  const at::Tensor weight = method.weight(), average = method.weights().at("weight").clone();
  ASSERT_FALSE(torch::equal(weight, average));
  {
    const auto scope = method.averaged();
    EXPECT_TRUE(torch::equal(method.weight(), average));
  }
  EXPECT_TRUE(torch::equal(method.weight(), weight));
  EXPECT_TRUE(torch::equal(method.weights().at("weight"), average));
}

}  // namespace
}  // namespace lpnsr::testing
