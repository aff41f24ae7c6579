#include "core/device.h"
#include "core/error.h"
#include "core/kernels/kernels.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "trainers/dry_run.h"

namespace lpnsr::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Experiment small_run() {
  Experiment experiment;
  experiment.system = small_system();
  experiment.data.crop_size = 64;
  experiment.data.folders = {"/nowhere/pictures"};
  experiment.gan.discriminator.ndf = 8;
  experiment.gan.discriminator.n_layers = 2;
  experiment.training.iterations = 100;
  experiment.training.batch_size = 8;
  experiment.training.epoch_length = 10;
  return experiment;
}

TEST(DryRun, CountsEachKindOfIterationAndNamesWhatIsMissing) {
  const auto plan = plan_training(small_run(), "/nowhere/weights", c10::kCPU, 2);
  ASSERT_EQ(plan.iterations.size(), 2U);
  const auto& discriminator = plan.iterations[0];
  const auto& generator = plan.iterations[1];
  EXPECT_THAT(discriminator.updates, ElementsAre("discriminator"));
  EXPECT_THAT(generator.updates, ElementsAre("noise_predictor"));
  // The chain's backward pass costs more than the discriminator's, and its activations stay.
  EXPECT_GT(generator.flops, 1.3 * discriminator.flops);
  EXPECT_GT(generator.activation_bytes, 2 * discriminator.activation_bytes);
  EXPECT_EQ(plan.part, 4);
  EXPECT_EQ(plan.epochs, 10);
  EXPECT_DOUBLE_EQ(plan.first_rate, 5e-5);
  EXPECT_LT(plan.last_rate, 1.2e-5);
  EXPECT_EQ(plan.peak_bytes(), plan.bytes.held() + 4 * generator.activation_bytes);
  std::string missing;
  for (const auto& what : plan.missing) missing += what + "\n";
  for (const std::string name :
       {"vgg16-397923af.pth", "LPIPS_v0.1_vgg-a78928a0.pth", "autoencoder_vq_f4.pth", "resshift_realsrx4_s4_v3.pth", "/nowhere/pictures"}) {
    EXPECT_THAT(missing, HasSubstr(name));
  }
  EXPECT_THAT(missing, HasSubstr("lpnsr weights fetch 'autoencoder_vq_f4.pth'"));
}

TEST(DryRun, BytesFollowFromTheNetworks) {
  const auto plan = plan_training(small_run(), "/nowhere", c10::kCPU, 1);
  int64_t trained = 0, all = 0, product = 0;
  for (const auto& network : plan.networks) {
    all += network.parameters;
    if (network.trained) trained += network.parameters;
    if (network.name == "noise_predictor") product = network.parameters;
  }
  EXPECT_EQ(plan.bytes.gradients, 4 * trained);
  EXPECT_EQ(plan.bytes.optimizer, 8 * trained);
  EXPECT_GE(plan.bytes.weights, 4 * all);      // and a few buffers
  EXPECT_GE(plan.bytes.average, 4 * product);  // and buffers
  EXPECT_LT(plan.bytes.average, 5 * product);
}

TEST(DryRun, RecomputationTradesMemoryForWork) {
  Experiment experiment = small_run();
  const auto plain = plan_training(experiment, "/nowhere", c10::kCPU, 1);
  auto before = plain;
  for (const std::string what : {"attention", "all"}) {
    experiment.training.recompute = what;
    const auto recomputed = plan_training(experiment, "/nowhere", c10::kCPU, 1);
    EXPECT_LT(recomputed.iterations[1].activation_bytes, before.iterations[1].activation_bytes) << what;
    EXPECT_GT(recomputed.iterations[1].flops, before.iterations[1].flops) << what;
    EXPECT_EQ(recomputed.iterations[0].flops, plain.iterations[0].flops) << what;  // no backward pass through the chain
    before = recomputed;
  }
}

TEST(DryRun, WeightsThatLayersKeepInBfloat16CountOnce) {
  if (usable_precision(c10::kCPU, c10::kBFloat16) == c10::kFloat) GTEST_SKIP() << "this processor computes in float32 in its place";
  if (kernels::kernels() == nullptr) GTEST_SKIP() << "without kernels autocast converts the weights at each use";
  Experiment experiment = small_run();
  const auto plain = plan_training(experiment, "/nowhere", c10::kCPU, 1);
  experiment.training.precision = "bf16";
  const auto lower = plan_training(experiment, "/nowhere", c10::kCPU, 1);
  EXPECT_GT(lower.bytes.weights, plain.bytes.weights);
  EXPECT_LE(lower.bytes.weights, plain.bytes.weights * 3 / 2);
  EXPECT_LT(lower.iterations[1].activation_bytes, plain.iterations[1].activation_bytes);
}

TEST(DryRun, AStudentBeginsAsItsTeacher) {
  Experiment experiment = small_run();
  experiment.trainer = "rsd";
  experiment.losses.lpips = 0.0;
  experiment.distillation.nodes = {4};
  experiment.distillation.fake_updates = 2;
  experiment.training.iterations = 99;  // the last one is the student's
  const auto plan = plan_training(experiment, "/nowhere", c10::kCPU, 1);
  ASSERT_EQ(plan.iterations.size(), 2U);
  EXPECT_THAT(plan.iterations[0].updates, ElementsAre("fake"));
  EXPECT_THAT(plan.iterations[1].updates, ElementsAre("student"));
  const auto origin = [&plan](const std::string& name) {
    return std::find_if(plan.networks.begin(), plan.networks.end(), [&](const auto& network) { return network.name == name; })->weights;
  };
  EXPECT_EQ(origin("student"), "as the teacher");
  EXPECT_THAT(origin("fake"), HasSubstr("head from the seed"));
  EXPECT_EQ(origin("teacher"), "missing");
}

TEST(DryRun, RefusesWhatTrainingWouldRefuse) {
  Experiment experiment = small_run();
  EXPECT_THROW_MESSAGE(plan_training(experiment, "/nowhere", c10::kCPU, 3), UsageError, HasSubstr("no multiple of 3 processes"));
  experiment.data.crop_size = 36;
  EXPECT_THROW_MESSAGE(plan_training(experiment, "/nowhere", c10::kCPU, 1), UsageError, HasSubstr("data.crop_size"));
}

}  // namespace
}  // namespace lpnsr::testing
