#include <chrono>
#include <csignal>
#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/config.h"
#include "core/error.h"
#include "core/random.h"
#include "tests/support/fixtures.h"
#include "trainers/experiment.h"
#include "trainers/training_checkpoint.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TrainingCheckpoint checkpoint_at(int64_t iteration) {
  TrainingCheckpoint checkpoint{iteration, 8 * iteration, "seed = 1\n", {}};
  checkpoint.state.add("method/weights/w", torch::full({3, 5}, static_cast<float>(iteration)));
  return checkpoint;
}

TEST(TrainingCheckpoint, ComesBackAsItWas) {
  const TemporaryFolder folder;
  write_training_checkpoint(folder.path(), checkpoint_at(70), 2);
  const auto back = newest_training_checkpoint(folder.path());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->iteration, 70);
  EXPECT_EQ(back->samples, 560);
  EXPECT_EQ(back->config, "seed = 1\n");
  EXPECT_TRUE(back->state.at("method/weights/w").equal(torch::full({3, 5}, 70.0F)));
}

TEST(TrainingCheckpoint, OnlyTheNewestAreKept) {
  const TemporaryFolder folder;
  for (const int64_t iteration : {5, 50, 500}) write_training_checkpoint(folder.path(), checkpoint_at(iteration), 2);
  EXPECT_FALSE(std::filesystem::exists(folder / "iteration-00000005.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder / "iteration-00000050.safetensors"));
  EXPECT_EQ(newest_training_checkpoint(folder.path())->iteration, 500);
}

TEST(TrainingCheckpoint, DamageLeadsToTheOneBefore) {
  const TemporaryFolder folder;
  write_training_checkpoint(folder.path(), checkpoint_at(1), 3);
  write_training_checkpoint(folder.path(), checkpoint_at(2), 3);
  const auto newest = folder / "iteration-00000002.safetensors";
  std::fstream file(newest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  EXPECT_THROW_MESSAGE(read_training_checkpoint(newest), DataError, HasSubstr("checksum"));
  EXPECT_EQ(newest_training_checkpoint(folder.path())->iteration, 1);
  std::filesystem::resize_file(newest, 40);
  EXPECT_EQ(newest_training_checkpoint(folder.path())->iteration, 1);
}

TEST(TrainingCheckpoint, KilledAtAnyInstantTheLastCompleteOneIsThere) {
  const TemporaryFolder folder;
  RandomStream stream(7);
  int64_t complete = 0;  // the last of which the writer has said so
  for (int kill_number = 0; kill_number < 200; ++kill_number) {
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t writer = fork();
    if (writer == 0) {
      for (int64_t iteration = complete + 1;; ++iteration) {
        TrainingCheckpoint checkpoint = checkpoint_at(iteration);
        checkpoint.state.add("method/weights/large", torch::full({100000}, static_cast<float>(iteration)));
        write_training_checkpoint(folder.path(), checkpoint, 2);
        if (write(channel[1], &iteration, sizeof(iteration)) != sizeof(iteration)) _exit(1);
      }
    }
    ::close(channel[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(stream.integer(0, 20000)));
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
    for (int64_t iteration = 0; read(channel[0], &iteration, sizeof(iteration)) == sizeof(iteration);) complete = iteration;
    ::close(channel[0]);
    const auto newest = newest_training_checkpoint(folder.path());
    if (complete == 0 && !newest) continue;
    ASSERT_TRUE(newest) << "after kill " << kill_number;
    ASSERT_GE(newest->iteration, complete) << "after kill " << kill_number;
    ASSERT_TRUE(newest->state.at("method/weights/large").eq(static_cast<float>(newest->iteration)).all().item<bool>());
    complete = newest->iteration;
  }
  EXPECT_GT(complete, 20);
}

// A limit on the size of files stands for a full disk.
TEST(TrainingCheckpoint, AFullDiskKeepsTheLastOne) {
  const TemporaryFolder folder;
  write_training_checkpoint(folder.path(), checkpoint_at(1), 2);
  const pid_t writer = fork();
  if (writer == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50000, 50000};
    setrlimit(RLIMIT_FSIZE, &limit);
    TrainingCheckpoint large = checkpoint_at(2);
    large.state.add("method/weights/large", torch::zeros({100000}));
    try {
      write_training_checkpoint(folder.path(), large, 2);
    } catch (const Error&) {
      _exit(42);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(writer, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(newest_training_checkpoint(folder.path())->iteration, 1);
}

TEST(TrainingCheckpoint, AnEmptyFolderHasNone) {
  const TemporaryFolder folder;
  EXPECT_FALSE(newest_training_checkpoint(folder.path()));
  EXPECT_FALSE(newest_training_checkpoint(folder / "absent"));
}

TEST(TrainingCheckpoint, AnotherConfigurationIsRefusedWithItsKeys) {
  Experiment here, there;
  there.optimizer.learning_rate.value = 1e-3;
  there.data.workers = 7;
  const std::string a = write_config(fields_of(there)), b = write_config(fields_of(here));
  EXPECT_THROW_MESSAGE(check_same_run(a, b, "RUN"), UsageError,
                       AllOf(HasSubstr("optimizer.learning_rate.value"), Not(HasSubstr("workers"))));
  there.optimizer.learning_rate.value = here.optimizer.learning_rate.value;
  check_same_run(write_config(fields_of(there)), b, "RUN");
}

}  // namespace
}  // namespace lpnsr::testing
