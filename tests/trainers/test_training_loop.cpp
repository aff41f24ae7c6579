// The loop around any method.
#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "trainers/training_loop.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// One weight whose loss is not finite the first time that iteration `bad` is computed.
class OnceBad : public TrainingMethod {
 public:
  OnceBad(const Experiment& experiment, int64_t bad)
      : layer_(torch::nn::Linear(1, 1)), network_(layer_.ptr(), experiment, 0.9), bad_(bad) {}
  std::vector<Due> due(const StepPosition& position) override { return {{&network_, position.learning_rate, "grad_norm"}}; }
  Scalars passes(const Part& part, const StepPosition& position, const std::vector<at::Tensor>&) override {
    at::Tensor loss = layer_(part.batch.hr.mean().view({1, 1})).sum();
    if (position.iteration == bad_) {
      loss = loss * std::nan("");
      bad_ = -1;
    }
    Scalars scalars;
    scalars.add("total", loss);
    network_.backward(loss, part.of_many, part.last());
    return scalars;
  }
  std::vector<Member> trained() const override { return {{"layer", &network_}}; }
  at::Tensor restored(const Batch& batch) override { return batch.hr; }

 private:
  torch::nn::Linear layer_;
  mutable TrainedNetwork network_;
  int64_t bad_;
};

class TrainingLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_rgb(folder_ / "picture.png", torch::rand({3, 64, 64}));
    experiment_.data.folders = {folder_.path().string()};
    experiment_.data.crop_size = 32;
    experiment_.training.iterations = 8;
    experiment_.training.batch_size = 1;
    experiment_.training.checkpoint_every = 2;
    experiment_.training.log_every = 1;
    experiment_.training.sample_pictures = 0;
    run_.output = folder_ / "run";
    run_.make_method = [](const Experiment& experiment, const TrainingRun&) { return std::make_unique<OnceBad>(experiment, 5); };
  }
  TemporaryFolder folder_;
  Experiment experiment_;
  TrainingRun run_;
};

TEST_F(TrainingLoopTest, RollsBackToTheLastCheckpointAndGoesOn) {
  experiment_.training.on_not_finite = "roll_back";
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_training(experiment_, run_), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("iteration 6: total is nan; back to the weights of iteration 4, on with the pictures that follow"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/layer.safetensors"));
  const std::string lines = read_file(folder_ / "run/metrics.jsonl");
  EXPECT_THAT(lines, ::testing::AllOf(HasSubstr("left_out"), HasSubstr("\"step\":8")));
}

TEST_F(TrainingLoopTest, StopsOrSkipsInstead) {
  EXPECT_THROW_MESSAGE(run_training(experiment_, run_), Error, HasSubstr("iteration 6: total is nan; no weight was changed"));
  run_.output = folder_ / "skipped";
  experiment_.training.on_not_finite = "skip";
  EXPECT_EQ(run_training(experiment_, run_), 0);
}

TEST_F(TrainingLoopTest, AWrongNameForTheBestIsRefusedBeforeAnythingRuns) {
  experiment_.validation.folders = experiment_.data.folders;
  experiment_.validation.best = "pnsr";
  const auto score = [](const at::Tensor&, const at::Tensor&) { return 1.0; };
  run_.scores = {{"psnr", true, score}, {"niqe", false, score}};
  run_.make_method = [](const Experiment&, const TrainingRun&) -> std::unique_ptr<TrainingMethod> { throw Error("too late"); };
  EXPECT_THROW_MESSAGE(run_training(experiment_, run_), UsageError,
                       HasSubstr("validation.best: 'pnsr' is none of validation.metrics (psnr, niqe); did you mean 'psnr'?"));
}

}  // namespace
}  // namespace lpnsr::testing
