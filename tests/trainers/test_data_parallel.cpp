// Ranks as processes of this machine.
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "tests/support/tape_recorder.h"
#include "trainers/autoencoder_trainer.h"
#include "trainers/denoiser_trainer.h"
#include "trainers/iteration.h"
#include "trainers/loading.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// Runs `body(ranks)` in `count` processes; what one throws is thrown here.
void on_ranks(int64_t count, const std::function<void(const Ranks&)>& body, int patience = 60) {
  static auto port = static_cast<uint16_t>(20000 + getpid() % 20000);
  ++port;
  const TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int64_t rank = 0; rank < count; ++rank) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    try {
      const RankSettings settings{.rank = rank, .count = count, .local_rank = rank, .port = port};
      body(Ranks(settings, c10::kCPU, std::chrono::seconds(patience)));
    } catch (const Error& error) {
      write_text(folder / "fault", error.what());
      _exit(1);
    }
    _exit(::testing::Test::HasFailure() ? 2 : 0);
  }
  bool failed = false;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    failed = failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  if (std::filesystem::exists(folder / "fault")) throw Error(read_file(folder / "fault"));
  EXPECT_FALSE(failed) << "a rank crashed or found a difference";
}

Experiment small_experiment() {
  Experiment experiment;
  experiment.system = small_system();
  experiment.losses.lpips = 0.0;
  experiment.losses.mse = 1.0;
  experiment.losses.gan = 0.1;
  experiment.gan.discriminator.ndf = 8;
  experiment.gan.discriminator.n_layers = 2;
  experiment.gan.start_epoch = 1;
  experiment.gan.update_every = 1;
  experiment.training.batch_size = 4;
  return experiment;
}

Batch pictures(int64_t count) {
  return {synthetic_tensor("parallel", "hr", {count, 3, 64, 64}, 0.5, 0.5),
          synthetic_tensor("parallel", "lr", {count, 3, 16, 16}, 0.5, 0.5),
          {},
          std::vector<std::string>(static_cast<size_t>(count), "p.png")};
}

Batch share_of(const Batch& whole, const Ranks& ranks) {
  const int64_t each = whole.hr.size(0) / ranks.count(), start = ranks.rank() * each;
  return {
      whole.hr.narrow(0, start, each), whole.lr.narrow(0, start, each), {}, std::vector<std::string>(static_cast<size_t>(each), "p.png")};
}

struct Trained {
  StateDict state;
  Metrics metrics;
};

Trained train(const Experiment& experiment, const Ranks& ranks, int64_t iterations, int64_t parts = 1, torch::Dtype type = torch::kFloat,
              const GraphRecorder& recorder = {}) {
  const auto& system = experiment.system;
  SwinUNet denoiser = small_network<SwinUNet>(system.denoiser, "unet");
  Autoencoder autoencoder = small_network<Autoencoder>(system.autoencoder, "vae");
  denoiser->to(type);
  autoencoder->to(type);
  DenoiserTrainer trainer(experiment, denoiser, autoencoder, PerceptualLoss(), {c10::kCPU, ranks, recorder});
  Batch whole = pictures(4);
  whole.hr = whole.hr.to(type);
  whole.lr = whole.lr.to(type);
  Trained trained;
  for (int64_t i = 0; i < iterations; ++i) {
    const auto result = run_iteration(trainer, parts_of(share_of(whole, ranks), parts, ranks), {i, 1, 1e-3}, ranks);
    EXPECT_EQ(result.fault, "");
    trained.metrics = result.metrics;
  }
  for (const auto& [key, tensor] : trainer.save()) trained.state.add(key, tensor.clone());
  return trained;
}

// What each rank ends with.
std::vector<Trained> train_on_ranks(
    int64_t count, const Experiment& experiment, int64_t iterations, int64_t parts = 1, torch::Dtype type = torch::kFloat,
    const std::function<GraphRecorder(int64_t rank)>& recorder_of = [](int64_t) { return GraphRecorder(); }) {
  const TemporaryFolder folder;
  const auto file = [&folder](int64_t rank) { return folder / (std::to_string(rank) + ".safetensors"); };
  on_ranks(count, [&](const Ranks& group) {
    const Trained trained = train(experiment, group, iterations, parts, type, recorder_of(group.rank()));
    write_safetensors(file(group.rank()), trained.state, {{"metrics", nlohmann::json(trained.metrics).dump()}});
  });
  std::vector<Trained> ranks;
  for (int64_t rank = 0; rank < count; ++rank) {
    WeightsFile saved = read_safetensors(file(rank));
    ranks.push_back({std::move(saved.tensors), nlohmann::json::parse(saved.metadata.at("metrics")).get<Metrics>()});
  }
  return ranks;
}

bool equal(const StateDict& one, const StateDict& two) {
  for (const auto& [key, tensor] : one) {
    if (!torch::equal(tensor, two.at(key))) return false;
  }
  return true;
}

// Of all first moments together: after one step they are a tenth of the gradient.
double gradient_difference(const StateDict& one, const StateDict& two) {
  double difference = 0.0, size = 0.0;
  for (const auto& [key, tensor] : one.below("denoiser/adam/")) {
    if (!key.ends_with("exp_avg")) continue;
    const at::Tensor exact = tensor.to(torch::kFloat64);
    difference += (exact - two.at("denoiser/adam/" + key)).square().sum().item<double>();
    size += exact.square().sum().item<double>();
  }
  return std::sqrt(difference / size);
}

TEST(DataParallel, RanksGiveTheGradientOfTheWholeBatchAndStayBitEqual) {
  at::set_num_threads(1);
  const Experiment experiment = small_experiment();
  const Trained exact = train(experiment, {}, 1, 1, torch::kFloat64);
  for (const int64_t count : {2, 4}) {
    for (const auto type : {torch::kFloat64, torch::kFloat}) {
      const auto ranks = train_on_ranks(count, experiment, 1, 1, type);
      // The same shares one after the other on one rank: what is left is the order of the sums between ranks.
      const Trained parts = train(experiment, {}, 1, count, type);
      EXPECT_LT(gradient_difference(parts.state, ranks[0].state), type == torch::kFloat ? 1e-6 : 1e-14) << count;
      EXPECT_LT(gradient_difference(exact.state, ranks[0].state), type == torch::kFloat ? 1e-5 : 1e-12) << count;
      EXPECT_NEAR(ranks[0].metrics.at("total"), exact.metrics.at("total"), 1e-6);
      EXPECT_EQ(ranks[0].metrics, ranks[1].metrics);
      EXPECT_TRUE(equal(ranks[0].state, ranks[1].state));
    }
  }
}

TEST(DataParallel, RanksAreBitEqualAfterFiftySteps) {
  at::set_num_threads(1);
  Experiment experiment = small_experiment();
  experiment.system.denoiser.num_res_blocks = {1, 1};
  const auto ranks = train_on_ranks(2, experiment, 50);
  EXPECT_TRUE(equal(ranks[0].state, ranks[1].state));
}

TEST(DataParallel, RanksAndPartsTogether) {
  at::set_num_threads(1);
  const Experiment experiment = small_experiment();
  const auto ranks = train_on_ranks(2, experiment, 1, 2, torch::kFloat64);
  EXPECT_LT(gradient_difference(train(experiment, {}, 1, 1, torch::kFloat64).state, ranks[0].state), 1e-12);
}

// What graphs leave to be done after the backward pass, beside LibTorch's Reducer.
TEST(DataParallel, GradientsExchangedAfterwardsAreTheSame) {
  at::set_num_threads(1);
  on_ranks(2, [&](const Ranks& ranks) {
    const auto gradients = [&](Exchange exchange) {
      torch::manual_seed(1);
      torch::nn::Sequential network(torch::nn::Linear(300, 1000), torch::nn::Linear(1000, 7));
      network->to(torch::kFloat64);
      GradientAverage average(network->parameters(), ranks, Gradients::all, exchange);
      for (const bool last : {false, true}) {
        average.backward(network->forward(torch::full({1, 300}, 1.0 + static_cast<double>(ranks.rank()), torch::kFloat64)).square().sum(),
                         last);
      }
      average.complete();
      std::vector<at::Tensor> all;
      for (const auto& parameter : network->parameters()) all.push_back(parameter.grad().clone());
      return all;
    };
    const auto overlapped = gradients(Exchange::overlapped), afterwards = gradients(Exchange::afterwards);
    for (size_t i = 0; i < overlapped.size(); ++i) EXPECT_TRUE(torch::equal(overlapped[i], afterwards[i])) << i;
  });
}

TEST(DataParallel, ARankWithoutItsGraphStaysInStep) {
  at::set_num_threads(1);
  const Experiment experiment = small_experiment();
  const auto fails = [](c10::Device, const std::function<void()>& work) -> std::function<void()> {
    work();
    TORCH_CHECK(false, "no memory for a graph");
  };
  const auto overlapped = train_on_ranks(2, experiment, 6, 1, torch::kFloat64);
  const auto graphed = train_on_ranks(2, experiment, 6, 1, torch::kFloat64,
                                      [&](int64_t rank) { return rank == 0 ? tape_recorder() : GraphRecorder(fails); });
  for (const auto& trained : graphed) EXPECT_TRUE(equal(overlapped[0].state, trained.state));
}

// The codebook has no gradient while nothing is quantised.
TEST(DataParallel, ParametersMayGoWithoutGradients) {
  at::set_num_threads(1);
  Experiment experiment = small_experiment();
  experiment.training.quantise_after = 2;
  const TemporaryFolder folder;
  on_ranks(2, [&](const Ranks& ranks) {
    AutoencoderTrainer trainer(experiment, small_network<Autoencoder>(experiment.system.autoencoder, "vae"), PerceptualLoss(),
                               {c10::kCPU, ranks});
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(run_iteration(trainer, parts_of(share_of(pictures(4), ranks), 1, ranks), {i, 1, 1e-3}, ranks).fault, "");
    }
    write_safetensors(folder / (std::to_string(ranks.rank()) + ".safetensors"), trainer.save());
  });
  const auto one = read_safetensors(folder / "0.safetensors").tensors, two = read_safetensors(folder / "1.safetensors").tensors;
  EXPECT_EQ(one.at("autoencoder/adam/quantize.embedding.weight/step").item<int64_t>(), 2);
  for (const auto& [key, tensor] : one) {
    // A rank's own counts and averages of what it saw are exchanged when they are used.
    if (!key.starts_with("autoencoder/")) continue;
    EXPECT_TRUE(torch::equal(tensor, two.at(key))) << key;
  }
}

// Whatever else fails in a backward pass is no lost rank.
TEST(DataParallel, OtherFailuresKeepTheirNames) {
  struct Fails : torch::autograd::Function<Fails> {
    static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x.clone(); }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext*, const torch::autograd::variable_list&) {
      TORCH_CHECK(false, "memory is used up");
    }
  };
  on_ranks(2, [&](const Ranks& ranks) {
    const at::Tensor weight = torch::ones({2}).requires_grad_(true);
    GradientAverage average({weight}, ranks);
    EXPECT_THROW_MESSAGE(average.backward(Fails::apply(weight).sum(), true), c10::Error, HasSubstr("memory is used up"));
  });
}

TEST(DataParallel, AskingOneRankToStopStopsAll) {
  at::set_num_threads(1);
  const Experiment experiment = small_experiment();
  on_ranks(2, [&](const Ranks& ranks) {
    const auto& system = experiment.system;
    DenoiserTrainer trainer(experiment, small_network<SwinUNet>(system.denoiser, "unet"),
                            small_network<Autoencoder>(system.autoencoder, "vae"), PerceptualLoss(), {c10::kCPU, ranks});
    for (int64_t i = 0; i < 2; ++i) {
      const auto result = run_iteration(trainer, parts_of(share_of(pictures(4), ranks), 1, ranks), {i, 1, 1e-3}, ranks,
                                        [&] { return i == 1 && ranks.rank() == 1; });
      EXPECT_EQ(result.stop, i == 1);
      EXPECT_EQ(result.metrics.count("total"), 1U);
    }
  });
}

TEST(DataParallel, ARankThatIsGoneEndsTheOthersWithinTheirPatience) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_THROW_MESSAGE(on_ranks(
                           2,
                           [](const Ranks& group) {
                             if (group.rank() == 1) return;  // leaves
                             at::Tensor one = torch::ones({1});
                             group.sum(one);
                           },
                           5),
                       Error, HasSubstr("rank 0 of 2: another rank is gone or silent"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

TEST(DataParallel, RanksThatDoNotComeAreReported) {
  const RankSettings lonely{.rank = 0, .count = 2, .port = static_cast<uint16_t>(41000 + getpid() % 20000)};
  EXPECT_THROW_MESSAGE(Ranks(lonely, c10::kCPU, std::chrono::seconds(2)), Error, HasSubstr("rank 0 of 2 could not meet the others"));
}

class Environment : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
                             "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"}) {
      unsetenv(name);
    }
  }
  static void set(const std::vector<std::pair<const char*, const char*>>& variables) {
    for (const auto& [name, value] : variables) setenv(name, value, 1);
  }
};

TEST_F(Environment, NoVariablesMeanOneRank) { EXPECT_EQ(rank_settings_from_environment().count, 1); }

TEST_F(Environment, TorchrunsVariables) {
  set({{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29400"}});
  const auto settings = rank_settings_from_environment();
  EXPECT_EQ(settings.rank, 5);
  EXPECT_EQ(settings.count, 8);
  EXPECT_EQ(settings.local_rank, 1);
  EXPECT_EQ(settings.address, "node1");
  EXPECT_EQ(settings.port, 29400);
  set({{"RANK", "8"}});
  EXPECT_THROW_MESSAGE(rank_settings_from_environment(), UsageError, HasSubstr("$RANK='8'"));
  set({{"RANK", "1"}});
  unsetenv("MASTER_PORT");
  EXPECT_THROW_MESSAGE(rank_settings_from_environment(), UsageError, HasSubstr("$MASTER_PORT is not set"));
}

TEST_F(Environment, SlurmsVariables) {
  set({{"SLURM_PROCID", "3"},
       {"SLURM_STEP_NUM_TASKS", "4"},
       {"SLURM_LOCALID", "1"},
       {"SLURM_STEP_NODELIST", "gpu[03-04,11]"},
       {"SLURM_JOB_ID", "20007"}});
  const auto settings = rank_settings_from_environment();
  EXPECT_EQ(settings.rank, 3);
  EXPECT_EQ(settings.count, 4);
  EXPECT_EQ(settings.local_rank, 1);
  EXPECT_EQ(settings.address, "gpu03");
  EXPECT_EQ(settings.port, 15007);
  set({{"SLURM_STEP_NODELIST", "alpha,beta"}});
  EXPECT_EQ(rank_settings_from_environment().address, "alpha");
}

}  // namespace
}  // namespace lpnsr::testing
