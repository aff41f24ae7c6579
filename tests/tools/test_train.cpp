// Training through the program: resume after a kill, signals, refusals.
#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/checkpoint.h"
#include "core/config_tree.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/support/fixtures.h"
#include "trainers/training_checkpoint.h"

namespace lpnsr::testing {
namespace {

using ::testing::HasSubstr;

// Tiny networks on generated pictures; the three runs build on each other's weights.
class Training : public ::testing::Test {
 protected:
  void SetUp() override {
    write_photos(48, 56);
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

  void write_photos(int64_t height, int64_t width) {
    torch::manual_seed(3);
    for (int i = 0; i < 3; ++i) {
      const at::Tensor coarse = torch::rand({1, 3, 6, 6});
      write_rgb(make("photos") / ("picture" + std::to_string(i) + ".png"), at::upsample_bilinear2d(coarse, {height, width}, false)[0]);
    }
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
    return interrupt(words, run, iteration, signal);
  }
  int interrupt(std::vector<std::string> words, const std::string& run, const std::string& iteration, int signal) {
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

// One-step students of a denoiser that was trained here, as the repository's experiment files say, on tiny networks.
class StudentTraining : public Training, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string method() const { return GetParam(); }
  bool has_fake() const { return method() != "sinsr"; }
  bool has_head() const { return method() == "rsd"; }

  void prepare() {
    // The head needs features of 8x8: half the latent's side.
    if (has_head()) write_photos(80, 72);
    train("autoencoder", "autoencoder");
    train("denoiser", "denoiser");
    const auto text = [this](const std::string& file) { return toml_text(std::string_view((folder_ / file).string())); };
    const auto own = std::filesystem::path(LPNSR_SOURCE_DIR) / "experiments" / (method() + ".toml");
    const std::string settings =
        fmt::format(R"(extends = [{}, {}]
[weights]
teacher = {}
autoencoder = {}
denoiser = {}
[data]
folders = [{}]
crop_size = {}
[schedule]
steps = 4
min_noise_level = 0.2
[losses]
lpips = 0.0
gan = {}
[distillation]
fake_updates = 2
nodes = {}
[restore]
pad_multiple = 8
tile = 24
tile_stride = 16
[training]
batch_size = 4
checkpoint_every = 1
)",
                    toml_text(std::string_view(own.string())), text("tiny.toml"), text("denoiser/denoiser.safetensors"),
                    text("autoencoder/autoencoder.safetensors"), text("whole/student.safetensors"), text("photos"), has_head() ? 64 : 32,
                    has_head() ? "0.1" : "0.0", method() == "rsd" ? "[2, 4]" : "[4]");
    write_text(folder_ / "student.toml", settings);
  }
  std::vector<std::string> words(const std::string& run, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"train", (folder_ / "student.toml").string(), "--output", (folder_ / run).string(), "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void teach(const std::string& run, const std::vector<std::string>& more = {}) {
    const auto result = run_program(words(run, more));
    ASSERT_EQ(result.status, 0) << result.err;
  }
};

TEST_P(StudentTraining, ResumesSharesTheBatchAndStopsOnNaN) {
  prepare();
  teach("whole");
  interrupt(words("killed", {"--resume", "auto"}), "killed", "00000004", SIGKILL);
  // The checkpoint holds each network with its optimiser.
  const auto newest = newest_training_checkpoint(folder_ / "killed/checkpoints").value();
  const auto holds = [&newest](const std::string& prefix) {
    return newest.state.below(prefix).begin() != newest.state.below(prefix).end();
  };
  for (const std::string part : {"weights/", "ema/", "adam/"}) EXPECT_TRUE(holds("method/student/" + part)) << part;
  for (const std::string part : {"weights/", "adam/"}) EXPECT_EQ(holds("method/fake/" + part), has_fake()) << part;
  EXPECT_EQ(holds("method/fake/weights/head."), has_head());
  teach("killed", {"--resume", "auto"});
  EXPECT_TRUE(product("whole", "student") == product("killed", "student"));
  EXPECT_TRUE(same_bytes(folder_ / "killed/metrics.jsonl", folder_ / "whole/metrics.jsonl"));

  teach("two", {"--processes", "2"});
  const auto one = read_safetensors(folder_ / "whole/student.safetensors").tensors;
  for (const auto& [key, tensor] : read_safetensors(folder_ / "two/student.safetensors").tensors) {
    EXPECT_TRUE(at::allclose(tensor, one.at(key), 1e-2, 1e-4)) << key;
  }
  const auto wild =
      run_program(words("wild", {"--set", "optimizer.learning_rate.value=1e30", "--set", "optimizer.learning_rate.minimum=1e30"}));
  EXPECT_EQ(wild.status, 1);
  EXPECT_THAT(wild.err, HasSubstr("no weight was changed"));

  // What it made restores a picture.
  const auto restored = run_program({"restore", "-i", (folder_ / "photos/picture0.png").string(), "-o", (folder_ / "out.png").string(),
                                     "--experiment", (folder_ / "student.toml").string()});
  EXPECT_EQ(restored.status, 0) << restored.err;
  EXPECT_EQ(read_image(folder_ / "out.png").width(), 4 * read_image(folder_ / "photos/picture0.png").width());
}

INSTANTIATE_TEST_SUITE_P(Methods, StudentTraining, ::testing::Values("sinsr", "rsd", "resshift_vsd"));

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

TEST_F(Training, ProcessesShareTheBatch) {
  train("autoencoder", "one", {"--set", "training.batch_size=4"});
  train("autoencoder", "two", {"--set", "training.batch_size=4", "--processes", "2"});
  const auto one = read_safetensors(folder_ / "one/autoencoder.safetensors").tensors;
  for (const auto& [key, tensor] : read_safetensors(folder_ / "two/autoencoder.safetensors").tensors) {
    EXPECT_TRUE(at::allclose(tensor, one.at(key), 1e-2, 1e-4)) << key;
  }
  // And the other way round: a run of two goes on as one.
  const int status = interrupt("autoencoder", "half", "00000004", SIGTERM, {"--set", "training.batch_size=4", "--processes", "2"});
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
  train("autoencoder", "half", {"--set", "training.batch_size=4", "--resume", "auto"});
  for (const auto& [key, tensor] : read_safetensors(folder_ / "half/autoencoder.safetensors").tensors) {
    EXPECT_TRUE(at::allclose(tensor, one.at(key), 1e-2, 1e-4)) << key;
  }
  const auto odd = run_program(arguments("autoencoder", "odd", {"--set", "training.batch_size=3", "--processes", "2"}));
  EXPECT_EQ(odd.status, 2);
  EXPECT_THAT(odd.err, HasSubstr("training.batch_size: 3 is no multiple of 2 processes"));
}

TEST_F(Training, AKilledRankEndsTheRun) {
  auto words = arguments(
      "autoencoder", "lost",
      {"--set", "training.batch_size=4", "--set", "training.iterations=100000", "--processes", "2", "--set", "training.patience=20"});
  std::vector<char*> argv{const_cast<char*>(std::getenv("LPNSR_PROGRAM"))};
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto errors = (folder_ / "errors").string();
  const pid_t launcher = fork();
  if (launcher == 0) {
    if (freopen(errors.c_str(), "w", stderr) == nullptr) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  for (int waited = 0; waited < 60000 && !std::filesystem::exists(folder_ / "lost/checkpoints/iteration-00000002.safetensors"); ++waited) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::ifstream children("/proc/" + std::to_string(launcher) + "/task/" + std::to_string(launcher) + "/children");
  pid_t first = 0, second = 0;
  children >> first >> second;
  ASSERT_GT(second, 0);
  const auto begun = std::chrono::steady_clock::now();
  kill(second, SIGKILL);
  int status = 0;
  waitpid(launcher, &status, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 0);
  EXPECT_THAT(read_file(errors), ::testing::AllOf(HasSubstr("rank 1 was killed by signal 9"), HasSubstr("another rank is gone")));
}

TEST_F(Training, LowerPrecisionTrainsToo) {
  train("autoencoder", "autoencoder");
  train("denoiser", "denoiser");
  for (const std::string precision : {"bf16", "fp16"}) {
    train("noise_predictor", precision, {"--precision", precision});
    EXPECT_THAT(read_file(folder_ / precision / "config.toml"), HasSubstr("precision = \"" + precision + "\""));
  }
  EXPECT_THAT(read_file(folder_ / "fp16/metrics.jsonl"), HasSubstr("loss_scale"));
  train("noise_predictor", "parts", {"--set", "training.parts=2", "--set", "training.recompute=all"});
}

TEST_F(Training, WhatIsNotFiniteIsHandledAsConfigured) {
  // Weights of 1e30 after the first update.
  const std::vector<std::string> wild = {"--set", "optimizer.learning_rate.value=1e30", "--set", "optimizer.learning_rate.minimum=1e30"};
  const auto with = [&wild](const std::string& action) {
    auto all = wild;
    all.insert(all.end(), {"--set", "training.on_not_finite=" + action});
    return all;
  };
  const auto stopped = run_program(arguments("autoencoder", "stop", wild));
  EXPECT_EQ(stopped.status, 1);
  EXPECT_THAT(stopped.err, ::testing::AllOf(HasSubstr("iteration 2: "), HasSubstr("no weight was changed"), HasSubstr("pictures: "),
                                            HasSubstr("photos/picture")));
  const auto skipped = run_program(arguments("autoencoder", "skip", with("skip")));
  EXPECT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("the iteration is left out"));
  EXPECT_THAT(read_file(folder_ / "skip/metrics.jsonl"), HasSubstr("left_out"));
  // A checkpoint of the third iteration whose optimiser then goes wild.
  train("autoencoder", "back", {"--set", "training.iterations=2"});
  const auto back = run_program(arguments("autoencoder", "roll", with("roll_back")));
  EXPECT_EQ(back.status, 1);  // nothing to go back to before the first checkpoint, or twice the same
}

TEST_F(Training, HeldOutPicturesChooseTheBestWeights) {
  const std::string folders = "validation.folders=[\"" + (folder_ / "photos").string() + "\"]";
  train("autoencoder", "validated", {"--set", folders, "--set", "validation.every=3"});
  const std::string lines = read_file(folder_ / "validated/metrics.jsonl");
  EXPECT_THAT(lines, ::testing::AllOf(HasSubstr("val_psnr"), HasSubstr("val_ssim")));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "validated/best-autoencoder.safetensors"));
}

// Each part of a checkpoint is needed: without it a resumed run ends elsewhere.
TEST_F(Training, NoPartOfACheckpointIsIdle) {
  train("autoencoder", "autoencoder");
  train("denoiser", "denoiser");
  train("noise_predictor", "whole", {"--set", "training.keep_checkpoints=9"});
  const auto checkpoint = read_training_checkpoint(folder_ / "whole/checkpoints/iteration-00000006.safetensors");
  const std::string wanted = product("whole", "noise_predictor");
  const auto resumed = [&](const std::string& run, const TrainingCheckpoint& changed) {
    make_output_folder(folder_ / run / "checkpoints");
    write_training_checkpoint(folder_ / run / "checkpoints", changed, 9);
    train("noise_predictor", run, {"--resume", "auto"});
    return product(run, "noise_predictor");
  };
  EXPECT_TRUE(resumed("same", checkpoint) == wanted);
  const std::vector<std::string> parts = {"method/noise_predictor/weights/", "method/noise_predictor/ema/", "method/noise_predictor/adam/",
                                          "method/discriminator/weights/", "method/discriminator/adam/"};
  for (size_t i = 0; i < parts.size(); ++i) {
    TrainingCheckpoint changed = checkpoint;
    changed.state = {};
    for (const auto& [key, tensor] : checkpoint.state) {
      changed.state.add(key, key.starts_with(parts[i]) && tensor.is_floating_point() ? tensor / 2 : tensor.clone());
    }
    EXPECT_FALSE(resumed("without" + std::to_string(i), changed) == wanted) << parts[i];
  }
  TrainingCheckpoint other_data = checkpoint, other_iteration = checkpoint;
  other_data.samples -= 4;
  EXPECT_FALSE(resumed("data", other_data) == wanted);
  other_iteration.iteration = 4;  // schedule, epoch and the noise of each iteration hang on it
  EXPECT_FALSE(resumed("iteration", other_iteration) == wanted);
}

TEST_F(Training, LpipsWithoutItsFilesStopsWithTheirNames) {
  const auto result =
      run_program(arguments("autoencoder", "run", {"--set", "losses.lpips=1.0", "--weights-dir", (folder_ / "none").string()}));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("vgg16-397923af.pth"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/autoencoder.safetensors"));
}

TEST_F(Training, ADryRunTellsThePlanAndWritesNothing) {
  const auto incomplete = run_program(arguments("denoiser", "planned", {"--dry-run"}));
  EXPECT_EQ(incomplete.status, 1) << incomplete.err;
  EXPECT_THAT(incomplete.out, ::testing::AllOf(HasSubstr("denoiser"), HasSubstr("FLOP"), HasSubstr("3 pictures"), HasSubstr("missing"),
                                               HasSubstr("autoencoder.safetensors")));
  train("autoencoder", "autoencoder");
  const auto complete = run_program(arguments("denoiser", "planned", {"--dry-run", "--json"}));
  EXPECT_EQ(complete.status, 0) << complete.err;
  const auto plan = nlohmann::json::parse(complete.out);
  EXPECT_EQ(plan.at("missing").size(), 0U);
  EXPECT_EQ(plan.at("pictures"), 3);
  EXPECT_EQ(plan.at("epochs"), 3);
  EXPECT_GT(plan.at("iterations")[0].at("flops_a_picture"), 1e6);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "planned"));
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
