// Iterations as graphs, which on the CPU are tapes (tests/support/tape_recorder.h).
#include "core/error.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "tests/support/tape_recorder.h"
#include "trainers/denoiser_trainer.h"
#include "trainers/iteration.h"
#include "trainers/loading.h"
#include "trainers/noise_predictor_trainer.h"
#include "trainers/rsd_trainer.h"
#include "trainers/sinsr_trainer.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

struct CountedTapes {
  int recorded = 0, replayed = 0;
  GraphRecorder recorder() {
    return [this](c10::Device device, const std::function<void()>& work) {
      ++recorded;
      return [this, replay = tape_recorder()(device, work)] {
        ++replayed;
        replay();
      };
    };
  }
};

Experiment graphed_experiment() {
  Experiment experiment;
  experiment.system = micro_system();
  experiment.losses.lpips = 0.0;
  experiment.losses.gan = 0.1;
  experiment.losses.mse = 1.0;
  experiment.gan.discriminator.ndf = 8;
  experiment.gan.discriminator.n_layers = 2;
  experiment.training.batch_size = 2;
  experiment.optimizer.ema_rate = 0.9;
  return experiment;
}

template <class Network, class Options>
Network exact_network(const Options& options, const std::string& tag) {
  Network network = small_network<Network>(options, tag);
  network->to(torch::kFloat64);
  return network;
}

std::unique_ptr<TrainingMethod> graphed_noise_predictor(const Experiment& experiment, const Placement& placement) {
  const auto& system = experiment.system;
  NoisePredictorTrainer::Networks networks{exact_network<SwinUNet>(system.denoiser, "unet"),
                                           exact_network<NoisePredictor>(system.noise_predictor, "predictor"),
                                           exact_network<Autoencoder>(system.autoencoder, "vae")};
  auto trainer = std::make_unique<NoisePredictorTrainer>(experiment, networks, PerceptualLoss(), placement);
  trainer->adversary()->network()->to(torch::kFloat64);
  return trainer;
}

std::unique_ptr<TrainingMethod> graphed_denoiser(const Experiment& experiment, const Placement& placement) {
  return std::make_unique<DenoiserTrainer>(experiment, exact_network<SwinUNet>(experiment.system.denoiser, "unet"),
                                           exact_network<Autoencoder>(experiment.system.autoencoder, "vae"), PerceptualLoss(), placement);
}

std::unique_ptr<TrainingMethod> graphed_sinsr(const Experiment& experiment, const Placement& placement) {
  const auto& system = experiment.system;
  return std::make_unique<SinSRTrainer>(
      experiment,
      SinSRTrainer::Networks{exact_network<SwinUNet>(system.denoiser, "unet"), exact_network<SwinUNet>(system.denoiser, "unet"),
                             exact_network<Autoencoder>(system.autoencoder, "vae")},
      placement);
}

std::unique_ptr<TrainingMethod> graphed_rsd(const Experiment& experiment, const Placement& placement) {
  const auto& system = experiment.system;
  RsdTrainer::Networks networks;
  networks.teacher = exact_network<SwinUNet>(system.denoiser, "unet");
  networks.student = exact_network<SwinUNet>(system.denoiser, "student");
  networks.fake = std::make_shared<FakeNetwork>(exact_network<SwinUNet>(system.denoiser, "fake"), EncoderHead(nullptr));
  networks.autoencoder = exact_network<Autoencoder>(system.autoencoder, "vae");
  return std::make_unique<RsdTrainer>(experiment, networks, PerceptualLoss(), placement);
}

struct GraphedCase {
  std::string name;
  std::unique_ptr<TrainingMethod> (*make)(const Experiment&, const Placement&);
  void (*options)(Experiment&);
  int replayed;  // of 20 iterations in epochs of 8
};
void PrintTo(const GraphedCase& c, std::ostream* out) { *out << c.name; }

struct GraphedRun {
  StateDict state;
  std::vector<Metrics> metrics;
};

GraphedRun run_graphed(const GraphedCase& c, const GraphRecorder& recorder) {
  Experiment experiment = graphed_experiment();
  c.options(experiment);
  torch::manual_seed(3);
  const auto method = c.make(experiment, {.recorder = recorder});
  GraphedRun trained;
  StateDict checkpoint;
  const auto state = [&method] {
    StateDict copies;
    for (const auto& [key, tensor] : method->save()) copies.add(key, tensor.clone());
    return copies;
  };
  for (int64_t i = 0; i < 20; ++i) {
    const std::string tag = std::to_string(i);
    const Batch batch{synthetic_tensor("graphs", "hr" + tag, {2, 3, 64, 64}, 0.5, 0.5).to(torch::kFloat64),
                      synthetic_tensor("graphs", "lr" + tag, {2, 3, 16, 16}, 0.5, 0.5).to(torch::kFloat64),
                      {},
                      {"a.png", "b.png"}};
    // What happens between iterations: the loss scale falls, validation with the moving average, a return to a checkpoint.
    if (i == 12 && experiment.training.precision == "fp16") method->trained().front().network->scaler().overflowed();
    if (i == 13) checkpoint = state();
    if (i == 15) {
      const auto averaged = method->averaged();
      method->restored(batch);
    }
    if (i == 16) method->load(checkpoint, "checkpoint");
    const auto result = run_iteration(*method, parts_of(batch, experiment.training.parts, {}), {i, i / 8 + 1, 1e-3}, {});
    EXPECT_EQ(result.fault, "");
    trained.metrics.push_back(result.metrics);
  }
  trained.state = state();
  return trained;
}

class GraphedTraining : public ::testing::TestWithParam<GraphedCase> {};

TEST_P(GraphedTraining, EndsWithTheSameBits) {
  at::set_num_threads(1);
  CountedTapes tapes;
  ::testing::internal::CaptureStderr();
  const GraphedRun plain = run_graphed(GetParam(), {}), graphed = run_graphed(GetParam(), tapes.recorder());
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(tapes.replayed, GetParam().replayed);
  EXPECT_EQ(plain.metrics, graphed.metrics);
  for (const auto& [key, tensor] : plain.state) EXPECT_TRUE(torch::equal(tensor, graphed.state.at(key))) << key;
}

// Of each kind of iteration that comes n times, n - 2 replay: the third to compare.
INSTANTIATE_TEST_SUITE_P(
    Methods, GraphedTraining,
    ::testing::Values(GraphedCase{"image_gan", graphed_noise_predictor, [](Experiment& e) { e.gan.start_epoch = 2; }, 2 + 2 + 4 + 4},
                      GraphedCase{"latent_gan_both_updates", graphed_noise_predictor,
                                  [](Experiment& e) {
                                    e.gan.space = "latent";
                                    e.gan.start_epoch = 1;
                                    e.gan.update_every = 1;
                                  },
                                  18},
                      GraphedCase{"loss_scale", graphed_noise_predictor,
                                  [](Experiment& e) {
                                    e.losses.clamp_image = false;
                                    e.training.precision = "fp16";
                                  },
                                  2 + 2 + 4 + 4},
                      GraphedCase{"recomputed", graphed_noise_predictor, [](Experiment& e) { e.training.recompute = "all"; },
                                  2 + 2 + 4 + 4},
                      GraphedCase{"resshift", graphed_denoiser, [](Experiment&) {}, 18},
                      GraphedCase{"parts", graphed_denoiser, [](Experiment& e) { e.training.parts = 2; }, 38},
                      GraphedCase{"sinsr", graphed_sinsr, [](Experiment&) {}, 18},
                      // The student's iterations freeze the fake network, whose caches then hold what its next update makes old.
                      GraphedCase{"rsd_parts", graphed_rsd,
                                  [](Experiment& e) {
                                    e.losses.gan = 0.0;
                                    e.distillation.nodes = {4};
                                    e.distillation.fake_updates = 1;
                                    e.training.parts = 2;
                                  },
                                  36}),
    [](const auto& test) { return test.param.name; });

// One weight, with whatever a test adds to its loss.
class OneWeight : public TrainingMethod {
 public:
  OneWeight(const GraphRecorder& recorder, std::function<at::Tensor(const at::Tensor&)> loss)
      : TrainingMethod(recorder), network_(layer_.ptr(), Experiment(), 0.0, {.recorder = recorder}), loss_(std::move(loss)) {
    torch::nn::init::constant_(layer_->weight, 0.5);
    layer_->register_buffer("constants", torch::full({4096}, 100.0));  // as the masks of attention, far above any gradient
  }
  std::vector<Due> due(const StepPosition& position) override { return {{&network_, position.learning_rate, "grad_norm"}}; }
  std::vector<Member> trained() const override { return {{"weight", &network_}}; }
  at::Tensor restored(const Batch& batch) override { return batch.hr; }
  at::Tensor weight() const { return layer_->weight.detach().clone(); }

 protected:
  Scalars passes(const Part& part, const StepPosition&, const std::vector<at::Tensor>&) override {
    const at::Tensor loss = loss_(layer_(part.batch.hr.mean().view({1, 1})).sum());
    Scalars scalars;
    scalars.add("total", loss);
    network_.backward(loss, part.of_many, part.last());
    return scalars;
  }

 private:
  torch::nn::Linear layer_{torch::nn::LinearOptions(1, 1).bias(false)};
  mutable TrainedNetwork network_;
  std::function<at::Tensor(const at::Tensor&)> loss_;
};

// Losses of iterations on pictures of the given sizes, and the weight behind them.
std::vector<double> losses_of(OneWeight& method, const std::vector<int64_t>& sizes) {
  std::vector<double> losses;
  for (const int64_t size : sizes) {
    const Batch batch{
        torch::full({1, 3, size, size}, 0.25 + 0.01 * static_cast<double>(losses.size())), torch::zeros({1, 3, 1, 1}), {}, {}};
    losses.push_back(run_iteration(method, batch, {static_cast<int64_t>(losses.size()), 1, 1e-2}).at("total"));
  }
  losses.push_back(method.weight().item<double>());
  return losses;
}

TEST(GraphedStep, EachShapeHasItsGraph) {
  const std::vector<int64_t> sizes = {4, 4, 8, 4, 8, 8, 4, 8};
  const auto square = [](const at::Tensor& x) { return x.square(); };
  CountedTapes tapes;
  OneWeight plain({}, square), graphed(tapes.recorder(), square);
  EXPECT_EQ(losses_of(plain, sizes), losses_of(graphed, sizes));
  EXPECT_EQ(tapes.recorded, 2);
  EXPECT_EQ(tapes.replayed, 4);
}

TEST(GraphedStep, WhatAsksForAValueGoesOnAsItIs) {
  const auto asks = [](const at::Tensor& x) { return x * x.item<double>(); };
  CountedTapes tapes;
  OneWeight plain({}, asks), graphed(tapes.recorder(), asks);
  ::testing::internal::CaptureStderr();
  const std::vector<int64_t> sizes(6, 4);
  EXPECT_EQ(losses_of(plain, sizes), losses_of(graphed, sizes));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("no CUDA graph could be recorded of an iteration"));
  EXPECT_EQ(tapes.recorded, 1) << "tried once";
  EXPECT_EQ(tapes.replayed, 0);
}

TEST(GraphedStep, AGraphThatDoesSomethingElseIsFoundOutBeforeItCounts) {
  const auto counts = [calls = 1.0](const at::Tensor& x) mutable { return x * (calls *= 2.0); };  // as the host only knows
  CountedTapes tapes;
  OneWeight plain({}, counts), graphed(tapes.recorder(), counts);
  ::testing::internal::CaptureStderr();
  const std::vector<int64_t> sizes(6, 4);
  EXPECT_EQ(losses_of(plain, sizes), losses_of(graphed, sizes));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("repeated an iteration with another result"));
  EXPECT_EQ(tapes.replayed, 1);
}

// As float16's first iterations are, whose gradients overflow.
TEST(GraphedStep, WhatIsNotFiniteSaysNothingAboutTheGraph) {
  CountedTapes tapes;
  OneWeight method(tapes.recorder(), [](const at::Tensor& x) { return x.square(); });
  ::testing::internal::CaptureStderr();
  for (int64_t i = 0; i < 6; ++i) {
    const Batch batch{torch::full({1, 3, 4, 4}, i == 2 ? INFINITY : 0.5), torch::zeros({1, 3, 1, 1}), {}, {"a.png"}};
    const auto result = run_iteration(method, {{batch, 0, 1}}, {i, 1, 1e-2}, {});
    EXPECT_EQ(result.fault.empty(), i != 2);
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::Not(HasSubstr("CUDA graph")));
  EXPECT_EQ(tapes.recorded, 1);
  EXPECT_EQ(tapes.replayed, 4);
}

TEST(GraphedStep, WithTheSameWeightsNothingIsCompared) {
  CountedTapes tapes;
  OneWeight method(tapes.recorder(), [](const at::Tensor& x) { return x.square(); });
  Scalars scalars;
  const Part part{{torch::full({1, 3, 4, 4}, 0.5), torch::zeros({1, 3, 1, 1}), {}, {}}, 0, 1};
  method.trained().front().network->zero_grad();
  for (int i = 0; i < 4; ++i) method.accumulate(part, {0, 1, 1e-2}, scalars);
  EXPECT_EQ(tapes.recorded, 1);
  EXPECT_EQ(tapes.replayed, 0);
}

TEST(GraphedStep, AFailureOfThePassesPasses) {
  const auto fails = [](const at::Tensor& x) -> at::Tensor {
    TORCH_CHECK(x.item<double>() < 0.131, "memory is used up");
    return x;
  };
  OneWeight method(tape_recorder(), fails);
  EXPECT_THROW_MESSAGE(losses_of(method, {4, 4, 4, 4}), c10::Error, HasSubstr("memory is used up"));
}

}  // namespace
}  // namespace lpnsr::testing
