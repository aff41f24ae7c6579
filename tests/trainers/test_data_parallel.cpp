// Ranks as threads of this process: LibTorch's process group does not mind.
#include <atomic>
#include <thread>
#include <unistd.h>

#include "core/error.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"
#include "trainers/denoiser_trainer.h"
#include "trainers/iteration.h"
#include "trainers/loading.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// Runs `body(ranks)` on `count` ranks; what one throws is thrown here.
void on_ranks(int64_t count, const std::function<void(const Ranks&)>& body, int patience = 60) {
  static std::atomic<uint16_t> port{static_cast<uint16_t>(20000 + getpid() % 20000)};
  const uint16_t here = ++port;
  std::vector<std::exception_ptr> faults(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        const RankSettings settings{.rank = rank, .count = count, .local_rank = rank, .port = here};
        body(Ranks(settings, c10::kCPU, std::chrono::seconds(patience)));
      } catch (...) {
        faults[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& fault : faults) {
    if (fault) std::rethrow_exception(fault);
  }
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

Trained train(const Experiment& experiment, const Ranks& ranks, int64_t iterations, int64_t parts = 1, torch::Dtype type = torch::kFloat) {
  const auto& system = experiment.system;
  SwinUNet denoiser = small_network<SwinUNet>(system.denoiser, "unet");
  Autoencoder autoencoder = small_network<Autoencoder>(system.autoencoder, "vae");
  denoiser->to(type);
  autoencoder->to(type);
  DenoiserTrainer trainer(experiment, denoiser, autoencoder, PerceptualLoss(), {c10::kCPU, ranks});
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
      std::vector<Trained> ranks(static_cast<size_t>(count));
      on_ranks(count, [&](const Ranks& group) { ranks[static_cast<size_t>(group.rank())] = train(experiment, group, 1, 1, type); });
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
  std::vector<Trained> ranks(2);
  on_ranks(2, [&](const Ranks& group) { ranks[static_cast<size_t>(group.rank())] = train(experiment, group, 50); });
  EXPECT_TRUE(equal(ranks[0].state, ranks[1].state));
}

TEST(DataParallel, RanksAndPartsTogether) {
  at::set_num_threads(1);
  const Experiment experiment = small_experiment();
  std::vector<Trained> ranks(2);
  on_ranks(2, [&](const Ranks& group) { ranks[static_cast<size_t>(group.rank())] = train(experiment, group, 1, 2, torch::kFloat64); });
  EXPECT_LT(gradient_difference(train(experiment, {}, 1, 1, torch::kFloat64).state, ranks[0].state), 1e-12);
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
