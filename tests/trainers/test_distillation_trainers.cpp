// The trainers of one-step students on a small system.
#include "core/error.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "trainers/iteration.h"
#include "trainers/rsd_trainer.h"
#include "trainers/sinsr_trainer.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

Experiment rsd_experiment() {
  Experiment experiment;
  experiment.trainer = "rsd";
  experiment.system = small_system();
  experiment.system.schedule.steps = 15;
  experiment.system.schedule.min_noise_level = 0.04;
  experiment.system.denoiser.noise_channels = 1;
  experiment.losses.lpips = 0.0;
  experiment.losses.gan = 3e-3;
  experiment.distillation.fake_updates = 2;
  experiment.data.crop_size = 64;
  return experiment;
}

Batch student_pictures(int64_t count) {
  return {synthetic_tensor("students", "hr", {count, 3, 64, 64}, 0.5, 0.5),
          synthetic_tensor("students", "lr", {count, 3, 16, 16}, 0.5, 0.5),
          {},
          std::vector<std::string>(static_cast<size_t>(count), "p.png")};
}

RsdTrainer rsd_trainer(const Experiment& experiment) {
  SwinUNetOptions plain = experiment.system.denoiser;
  plain.noise_channels = 0;
  RsdTrainer::Networks networks;
  networks.teacher = small_network<SwinUNet>(plain, "unet");
  networks.student = widened(networks.teacher, experiment.system.denoiser);
  torch::manual_seed(1);
  EncoderHead head(nullptr);
  if (experiment.losses.gan > 0) head = EncoderHead(feature_channels(plain));
  networks.fake = std::make_shared<FakeNetwork>(widened(networks.teacher, plain), head);
  networks.autoencoder = small_network<Autoencoder>(experiment.system.autoencoder, "vae");
  return RsdTrainer(experiment, networks, PerceptualLoss());
}

std::vector<at::Tensor> copies(const StateDict& state, const std::string& prefix) {
  std::vector<at::Tensor> tensors;
  for (const auto& [key, tensor] : state.below(prefix)) tensors.push_back(tensor.clone());
  return tensors;
}

bool equal(const std::vector<at::Tensor>& one, const std::vector<at::Tensor>& two) {
  return std::equal(one.begin(), one.end(), two.begin(), two.end(), [](const auto& a, const auto& b) { return a.equal(b); });
}

TEST(RsdTraining, FakeUpdatesThenOneOfTheStudent) {
  at::set_num_threads(1);
  RsdTrainer trainer = rsd_trainer(rsd_experiment());
  for (int64_t i = 0; i < 6; ++i) {
    const auto student = copies(trainer.save(), "student/weights/"), fake = copies(trainer.save(), "fake/weights/");
    const auto metrics = run_iteration(trainer, student_pictures(2), {i, 1, 1e-4});
    const bool students_turn = i % 3 == 2;
    EXPECT_EQ(equal(copies(trainer.save(), "student/weights/"), student), !students_turn) << i;
    EXPECT_EQ(equal(copies(trainer.save(), "fake/weights/"), fake), students_turn) << i;
    EXPECT_EQ(metrics.count("theta"), students_turn ? 1U : 0U);
    EXPECT_EQ(metrics.count("d_loss"), students_turn ? 0U : 1U);
  }
}

// Property 8: what the student's step leaves behind must not reach the fake network's next one.
TEST(RsdTraining, TheStudentsStepLeavesNoGradientInTheFakeNetwork) {
  RsdTrainer trainer = rsd_trainer(rsd_experiment());
  const Part part{student_pictures(2), 0, 2};
  const StepPosition position{2, 1, 1e-4};
  const auto latents = trainer.encode(part.batch);
  trainer.student_step(latents, trainer.draw(part, position)).total.backward();
  auto* fake = trainer.trained()[1].network;
  EXPECT_EQ(fake->gradient_norm(), 0.0);
  EXPECT_GT(trainer.trained()[0].network->gradient_norm(), 0.0);
}

TEST(RsdTraining, AtTheStartTheObjectiveIsZeroAndTheStudentIsItsTeacher) {
  Experiment experiment = rsd_experiment();
  experiment.losses.gan = 0.0;
  RsdTrainer trainer = rsd_trainer(experiment);
  const Part part{student_pictures(2), 0, 2};
  const auto step = trainer.student_step(trainer.encode(part.batch), trainer.draw(part, {2, 1, 1e-4}));
  // f_phi = f*, so there is nothing to learn yet.
  EXPECT_EQ(step.theta.abs().max().item<float>(), 0.0F);
  EXPECT_TRUE(step.fake.equal(step.teacher));
}

TEST(RsdTraining, DrawsDoNotDependOnHowTheBatchIsShared) {
  RsdTrainer trainer = rsd_trainer(rsd_experiment());
  const StepPosition position{4, 1, 1e-4};
  const auto whole = trainer.draw({student_pictures(4), 0, 4}, position), second = trainer.draw({student_pictures(2), 2, 4}, position);
  EXPECT_TRUE(whole.t.narrow(0, 2, 2).equal(second.t));
  EXPECT_TRUE(whole.t_n.narrow(0, 2, 2).equal(second.t_n));
  EXPECT_TRUE(whole.eps_t.narrow(0, 2, 2).equal(second.eps_t));
  EXPECT_TRUE(whole.noise_T.narrow(0, 2, 2).equal(second.noise_T));
}

TEST(SinSRTraining, LearnsWhereTheTeachersChainEnds) {
  at::set_num_threads(1);
  Experiment experiment = rsd_experiment();
  experiment.system.denoiser.noise_channels = 0;
  SinSRTrainer::Networks networks;
  networks.teacher = small_network<SwinUNet>(experiment.system.denoiser, "unet");
  networks.student = widened(networks.teacher, experiment.system.denoiser);
  networks.autoencoder = small_network<Autoencoder>(experiment.system.autoencoder, "vae");
  SinSRTrainer trainer(experiment, networks);
  const Batch batch = student_pictures(2);
  const at::Tensor noise = synthetic_tensor("students", "noise", {2, 3, 16, 16}, 1.7);
  const double before = trainer.losses(batch, noise).total.mean().item<double>();
  for (int64_t i = 0; i < 5; ++i) run_iteration(trainer, batch, {i, 1, 1e-3});
  EXPECT_LT(trainer.losses(batch, noise).total.mean().item<double>(), 0.9 * before);
}

// SinSR's "distill only": what has no weight costs nothing.
TEST(SinSRTraining, TermsWithoutWeightAreLeftOut) {
  Experiment experiment = rsd_experiment();
  experiment.system.denoiser.noise_channels = 0;
  const auto losses = [&](double inversion, double truth) {
    experiment.distillation.inversion = inversion;
    experiment.distillation.truth = truth;
    SinSRTrainer::Networks networks;
    networks.teacher = small_network<SwinUNet>(experiment.system.denoiser, "unet");
    networks.student = widened(networks.teacher, experiment.system.denoiser);
    networks.autoencoder = small_network<Autoencoder>(experiment.system.autoencoder, "vae");
    return SinSRTrainer(experiment, networks).losses(student_pictures(2), synthetic_tensor("students", "noise", {2, 3, 16, 16}, 1.7));
  };
  const auto all = losses(1.0, 1.0), alone = losses(0.0, 0.0), half = losses(0.0, 0.5);
  EXPECT_TRUE(torch::allclose(all.total, all.distillation + all.inversion + all.truth, 1e-6, 1e-6));
  EXPECT_TRUE(alone.total.equal(all.distillation));
  EXPECT_FALSE(alone.inverse.defined() || alone.again.defined());
  EXPECT_FALSE(half.inversion.defined());
  EXPECT_TRUE(torch::allclose(half.total, all.distillation + 0.5 * all.truth, 1e-6, 1e-6));
}

TEST(Distillation, AProductIsNamedAsTheExperimentSays) {
  NetworkSource source("/nowhere", c10::kCPU, /*reads=*/false);
  for (const std::string trainer : {"autoencoder", "denoiser", "noise_predictor", "sinsr", "rsd"}) {
    Experiment experiment = rsd_experiment();
    experiment.trainer = trainer;
    experiment.losses.mse = 1.0;
    EXPECT_EQ(make_training_method(experiment, source)->weights_name(), experiment.product() + ".safetensors");
  }
}

TEST(Distillation, ImpossibleSettingsAreRefused) {
  NetworkSource source("/nowhere", c10::kCPU, /*reads=*/false);
  const auto refused = [&](const std::function<void(Experiment&)>& change) {
    Experiment experiment = rsd_experiment();
    change(experiment);
    make_training_method(experiment, source);
  };
  EXPECT_THROW_MESSAGE(refused([](Experiment& e) { e.distillation.nodes = {4, 8, 12}; }), UsageError, HasSubstr("end at T = 15"));
  EXPECT_THROW_MESSAGE(refused([](Experiment& e) { e.distillation.start = "prior"; }), UsageError, HasSubstr("must be [15]"));
  EXPECT_THROW_MESSAGE(refused([](Experiment& e) { e.data.crop_size = 32; }), UsageError, HasSubstr("8x8"));
  EXPECT_NO_THROW(refused([](Experiment&) {}));
}

}  // namespace
}  // namespace lpnsr::testing
