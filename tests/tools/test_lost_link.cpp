// Two machines, as network namespaces with a cable between them that is cut while they train.
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

bool succeeds(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

class LostLink : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || !succeeds("ip netns add " + name(0)) || !succeeds("ip netns add " + name(1))) {
      GTEST_SKIP() << "network namespaces need root and iproute2";
    }
    ASSERT_TRUE(succeeds(fmt::format("ip link add lpnsr-a{0} type veth peer name lpnsr-b{0}", getpid())));
    for (int side = 0; side < 2; ++side) {
      ASSERT_TRUE(succeeds(fmt::format("ip link set {} netns {}", device(side), name(side))));
      ASSERT_TRUE(succeeds(fmt::format("ip -n {} addr add 10.77.0.{}/24 dev {}", name(side), side + 1, device(side))));
      ASSERT_TRUE(succeeds(fmt::format("ip -n {0} link set {1} up && ip -n {0} link set lo up", name(side), device(side))));
    }
  }
  void TearDown() override {
    for (int side = 0; side < 2; ++side) succeeds("ip netns del " + name(side));
  }
  static std::string name(int side) { return fmt::format("lpnsr-{}-{}", side, getpid()); }
  static std::string device(int side) { return fmt::format("lpnsr-{}{}", side == 0 ? 'a' : 'b', getpid()); }
};

TEST_F(LostLink, EveryoneEndsWithinTheirPatienceAndSaysWhy) {
  const TemporaryFolder folder;
  torch::manual_seed(3);
  make_output_folder(folder / "photos");
  for (int i = 0; i < 4; ++i) write_rgb((folder / "photos") / (std::to_string(i) + ".png"), torch::rand({3, 40, 40}));
  write_text(folder / "tiny.toml", fmt::format(R"(
trainer = "autoencoder"
pre_upsampler = "bicubic"
[autoencoder]
n_embed = 32
[autoencoder.ddconfig]
ch = 32
ch_mult = [1, 1, 1]
num_res_blocks = 1
[losses]
lpips = 0.0
gan = 0.0
[data]
folders = ["{}"]
crop_size = 32
[training]
iterations = 1000000
batch_size = 2
checkpoint_every = 2
patience = 8
)",
                                               (folder / "photos").string()));
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    const std::string command = fmt::format(
        "exec ip netns exec {} env RANK={} WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=23456 GLOO_SOCKET_IFNAME={} {} train {} --output "
        "{} "
        "--threads 1 2>{}",
        name(rank), rank, device(rank), std::getenv("LPNSR_PROGRAM"), (folder / "tiny.toml").string(), (folder / "run").string(),
        (folder / fmt::format("errors{}", rank)).string());
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    ranks.push_back(child);
  }
  for (int waited = 0; waited < 600 && !std::filesystem::exists(folder / "run/checkpoints/iteration-00000002.safetensors"); ++waited) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const auto cut = std::chrono::steady_clock::now();
  ASSERT_TRUE(succeeds(fmt::format("ip -n {} link set {} down", name(0), device(0))));
  for (int rank = 0; rank < 2; ++rank) {
    int status = 0;
    waitpid(ranks[static_cast<size_t>(rank)], &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << rank;
    EXPECT_THAT(read_file(folder / fmt::format("errors{}", rank)),
                AllOf(HasSubstr(fmt::format("rank {} of 2", rank)), HasSubstr("another rank is gone or silent")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - cut, std::chrono::seconds(40));
}

}  // namespace
}  // namespace lpnsr::testing
