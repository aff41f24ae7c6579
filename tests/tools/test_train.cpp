// Training through the program: resume after a kill, signals, refusals.
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/checkpoint.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// Tiny networks on generated pictures; the three runs build on each other's weights.
class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    for (int i = 0; i < 3; ++i) {
      const at::Tensor coarse = torch::rand({1, 3, 6, 6});
      write_rgb(make("photos") / ("picture" + std::to_string(i) + ".png"), at::upsample_bilinear2d(coarse, {48, 56}, false)[0]);
    }
    write_text(folder_ / "tiny.toml", R"(
seed = 5
pre_upsampler = "bicubic"
[denoiser]
image_size = 8
lq_size = 8
model_channels = 32
attention_resolutions = [8, 4]
channel_mult = [1, 2]
num_res_blocks = [1, 1]
swin_embed_dim = 32
num_head_channels = 16
window_size = 4
mlp_ratio = 2.0
[noise_predictor]
image_size = 8
lq_size = 8
model_channels = 32
attention_resolutions = [8, 4]
channel_mult = [1, 2]
num_res_blocks = [1, 1]
swin_embed_dim = 32
num_head_channels = 16
window_size = 4
mlp_ratio = 2.0
[autoencoder]
n_embed = 32
[autoencoder.ddconfig]
ch = 32
ch_mult = [1, 1, 1]
num_res_blocks = 1
[losses]
lpips = 0.0
mse = 1.0
gan = 0.1
[gan]
start_epoch = 2
[gan.discriminator]
ndf = 8
n_layers = 2
[data]
crop_size = 32
[training]
iterations = 8
epoch_length = 3
batch_size = 2
log_every = 2
checkpoint_every = 2
sample_every = 4
sample_pictures = 1
)");
  }

  std::filesystem::path make(const std::string& name) {
    make_output_folder(folder_ / name);
    return folder_ / name;
  }

  std::vector<std::string> arguments(const std::string& trainer, const std::string& run, const std::vector<std::string>& more = {}) {
    const auto text = [](const std::filesystem::path& path) { return "\"" + path.string() + "\""; };
    std::vector<std::string> all = {"train", (folder_ / "tiny.toml").string(), "--output", (folder_ / run).string(), "--threads", "1"};
    for (const std::string& setting : {"trainer=" + trainer, "data.folders=[" + text(folder_ / "photos") + "]",
                                       "weights.autoencoder=" + text(folder_ / "autoencoder/autoencoder.safetensors"),
                                       "weights.denoiser=" + text(folder_ / "denoiser/denoiser.safetensors")}) {
      all.insert(all.end(), {"--set", setting});
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  void train(const std::string& trainer, const std::string& run, const std::vector<std::string>& more = {}) {
    const auto result = run_program(arguments(trainer, run, more));
    ASSERT_EQ(result.status, 0) << result.err;
  }

  // Starts the run and kills it with `signal` as soon as the checkpoint of `iteration` is there.
  int interrupt(const std::string& trainer, const std::string& run, const std::string& iteration, int signal,
                const std::vector<std::string>& more = {}) {
    auto words = arguments(trainer, run, more);
    words.insert(words.end(), {"--resume", "auto"});
    std::vector<char*> argv{const_cast<char*>(std::getenv("LPNSR_PROGRAM"))};
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      if (freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
      execv(argv[0], argv.data());
      _exit(127);
    }
    const auto awaited = folder_ / run / "checkpoints" / ("iteration-" + iteration + ".safetensors");
    int status = 0;
    for (int waited = 0; waited < 60000 && !std::filesystem::exists(awaited) && waitpid(child, &status, WNOHANG) == 0; ++waited) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill(child, signal);
    waitpid(child, &status, 0);
    return status;
  }

  std::string product(const std::string& run, const std::string& name) { return read_file(folder_ / run / (name + ".safetensors")); }

  TemporaryFolder folder_;
};

TEST_F(Training, KilledAndResumedEndsWithTheSameBytes) {
  for (const std::string trainer : {"autoencoder", "denoiser", "noise_predictor"}) {
    train(trainer, trainer);
    const std::string run = trainer + "-killed";
    interrupt(trainer, run, "00000002", SIGKILL);
    interrupt(trainer, run, "00000006", SIGKILL);
    train(trainer, run, {"--resume", "auto"});
    EXPECT_TRUE(product(run, trainer) == product(trainer, trainer)) << trainer;
    EXPECT_TRUE(same_bytes(folder_ / run / "metrics.jsonl", folder_ / trainer / "metrics.jsonl")) << trainer;
    EXPECT_TRUE(std::filesystem::exists(folder_ / trainer / "report.html"));
  }
}

TEST_F(Training, NumberOfWorkersChangesNothing) {
  train("autoencoder", "one", {"--set", "data.workers=1"});
  train("autoencoder", "three", {"--set", "data.workers=3"});
  EXPECT_TRUE(product("one", "autoencoder") == product("three", "autoencoder"));
}

TEST_F(Training, TerminationWritesACheckpointAndHasItsOwnStatus) {
  const int status = interrupt("autoencoder", "long", "00000002", SIGTERM, {"--set", "training.iterations=100000"});
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "long/autoencoder.safetensors"));
}

TEST_F(Training, LpipsWithoutItsFilesStopsWithTheirNames) {
  const auto result =
      run_program(arguments("autoencoder", "run", {"--set", "losses.lpips=1.0", "--weights-dir", (folder_ / "none").string()}));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("vgg16-397923af.pth"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/autoencoder.safetensors"));
}

TEST_F(Training, RefusesWhatCannotBe) {
  const auto cases = std::vector<std::pair<std::string, std::string>>{{"training.batch_sise=3", "batch_size"},
                                                                      {"data.crop_size=30", "crop_size"},
                                                                      {"trainer=painter", "noise_predictor"},
                                                                      {"training.iterations=many", "training.iterations"}};
  for (const auto& [setting, hint] : cases) {
    const auto result = run_program(arguments("autoencoder", "refused", {"--set", setting}));
    EXPECT_EQ(result.status, 2) << setting << "\n" << result.err;
    EXPECT_THAT(result.err, HasSubstr(hint)) << setting;
  }
}

TEST_F(Training, AnExistingRunIsNotOverwritten) {
  train("autoencoder", "run");
  const auto again = run_program(arguments("autoencoder", "run"));
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("--resume auto"));
}

}  // namespace
}  // namespace lpnsr::testing
