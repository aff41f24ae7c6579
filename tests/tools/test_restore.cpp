#include "core/checkpoint.h"
#include "core/files.h"
#include "core/image.h"
#include "core/resize.h"
#include "tests/support/system_folder.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class RestoreCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    write_system(folder_.path(), small_system());
    std::filesystem::create_directories(folder_ / "in");
    write_rgb(path("in/a.png"), picture("a", 9, 13));
  }

  static at::Tensor picture(const std::string& name, int64_t height, int64_t width) {
    return synthetic_tensor("command", name, {3, height, width}, 0.5, 0.5);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult restore(const std::string& input, const std::string& output, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"restore",       "-i",           input, "-o", output, "--experiment", path("small.toml"),
                                       "--weights-dir", path("weights")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(RestoreCommand, APictureIntoAFileOrAFolder) {
  const auto result = restore(path("in/a.png"), path("b.png"));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(read_image(path("b.png")).rgb.sizes(), (std::vector<int64_t>{3, 36, 52}));
  ASSERT_EQ(restore(path("in/a.png"), path("new") + "/", {"--suffix", "_x4"}).status, 0);
  EXPECT_TRUE(same_bytes(path("new/a_x4.png"), path("b.png")));
  ASSERT_EQ(restore(path("in/a.png"), path("c.png"), {"--seed", "5"}).status, 0);
  EXPECT_NE(read_file(path("c.png")), read_file(path("b.png")));
}

TEST_F(RestoreCommand, AFolderGoesOnAfterADamagedPicture) {
  write_text(folder_ / "in/broken.png", "no picture");
  write_rgb(path("in/more.jpg"), picture("c", 8, 8));
  const auto result = restore(path("in"), path("out"), {"--steps", "2"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("1 of 3 pictures could not be restored"), HasSubstr("broken.png")));
  EXPECT_EQ(read_image(path("out/a.png")).height(), 36);
  EXPECT_EQ(read_image(path("out/more.png")).height(), 32);
  EXPECT_FALSE(std::filesystem::exists(path("out/broken.png")));
}

TEST_F(RestoreCommand, AReferenceOfAnotherSizeSparesTheOthers) {
  write_rgb(path("in/more_LR4.png"), picture("c", 8, 8));
  std::filesystem::create_directories(folder_ / "true");
  write_rgb(path("true/a.png"), picture("hr", 36, 48));
  write_rgb(path("true/more_HR.png"), picture("hr", 32, 32));
  const auto result = restore(path("in"), path("out"), {"--noise", "optimal", "--reference", path("true")});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("1 of 2 pictures could not be restored"), HasSubstr("36x48"), HasSubstr("36x52")));
  EXPECT_FALSE(std::filesystem::exists(path("out/a.png")));
  EXPECT_TRUE(std::filesystem::exists(path("out/more_LR4.png")));
}

TEST_F(RestoreCommand, LoadersDoNotChangeTheBytes) {
  for (const auto* name : {"b", "c", "d"}) write_rgb(path(std::string("in/") + name + ".png"), picture(name, 8, 8));
  ASSERT_EQ(restore(path("in"), path("one"), {"--loaders", "1"}).status, 0);
  ASSERT_EQ(restore(path("in"), path("three"), {"--loaders", "3"}).status, 0);
  for (const auto* name : {"a.png", "b.png", "c.png", "d.png"}) {
    EXPECT_TRUE(same_bytes(folder_ / "one" / name, folder_ / "three" / name));
  }
}

// LibTorch chooses its kernels by the number of threads that compute, so the order of sums changes; the quantiser may then choose another
// code for a latent that lies between two.
TEST_F(RestoreCommand, ComputingThreadsChangeNoMoreThanRounding) {
  ASSERT_EQ(restore(path("in/a.png"), path("one.png"), {"--threads", "1"}).status, 0);
  ASSERT_EQ(restore(path("in/a.png"), path("two.png"), {"--threads", "2"}).status, 0);
  const auto difference = (read_image(path("one.png")).rgb - read_image(path("two.png")).rgb).abs();
  EXPECT_LT(difference.gt(1.5 / 255).to(torch::kDouble).mean().item<double>(), 0.05);
}

TEST_F(RestoreCommand, GrayDepthAndTransparencyStay) {
  Image gray;
  gray.rgb = picture("g", 6, 6).mean(0, true).expand({3, -1, -1}).contiguous();
  gray.gray = true;
  gray.bit_depth = 16;
  write_image(path("gray.png"), gray);
  ASSERT_EQ(restore(path("gray.png"), path("gray4.png"), {"--steps", "1"}).status, 0);
  const auto gray4 = read_image(path("gray4.png"));
  EXPECT_TRUE(gray4.gray);
  EXPECT_EQ(gray4.bit_depth, 16);
  EXPECT_EQ(gray4.height(), 24);

  Image clear;
  clear.rgb = picture("t", 5, 7);
  clear.alpha = torch::full({1, 5, 7}, 0.5);
  write_image(path("clear.png"), clear);
  ASSERT_EQ(restore(path("clear.png"), path("clear4.png"), {"--steps", "1"}).status, 0);
  const auto clear4 = read_image(path("clear4.png"));
  ASSERT_TRUE(clear4.alpha.defined());
  EXPECT_EQ(clear4.alpha.sizes(), (std::vector<int64_t>{1, 20, 28}));
  EXPECT_TRUE(torch::allclose(clear4.alpha, torch::full({1, 20, 28}, 0.5), 0, 0.01));
}

TEST_F(RestoreCommand, ProfileOrientationAndFormatsStay) {
  Image photo;
  photo.rgb = picture("p", 6, 9);
  photo.icc_profile =
      std::string("\0\0\x01\xB8", 4) + std::string(12, 'x') + "RGB " + std::string(16, 'y') + "acsp" + std::string(400, 'z');
  std::filesystem::create_directories(folder_ / "photos");
  for (const std::string type : {"png", "jpg", "webp", "tiff"}) write_image(path("photos/" + type + "." + type), photo);
  // EXIF says that the camera was turned: the stored picture is 9 x 6 and stands upright as 6 x 9.
  const std::string bytes = read_file(path("photos/jpg.jpg"));
  const std::string exif = std::string(
      "\xFF\xE1\x00\x22"
      "Exif\0\0"
      "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
      36);
  write_text(path("photos/jpg.jpg"), bytes.substr(0, 2) + exif + bytes.substr(2));
  ASSERT_EQ(restore(path("photos"), path("same"), {"--steps", "1", "--format", "same"}).status, 0);
  for (const std::string type : {"png", "jpg", "webp", "tiff"}) {
    const auto restored = read_image(path("same/" + type + "." + type));
    EXPECT_EQ(restored.icc_profile, photo.icc_profile) << type;
    EXPECT_EQ(restored.height(), type == "jpg" ? 36 : 24) << type;
    EXPECT_EQ(restored.width(), type == "jpg" ? 24 : 36) << type;
  }
  ASSERT_EQ(restore(path("photos"), path("webp"), {"--steps", "1", "--format", "webp"}).status, 0);
  EXPECT_TRUE(torch::equal(read_image(path("webp/tiff.webp")).rgb, read_image(path("same/tiff.tiff")).rgb));
  const auto refused = restore(path("photos"), path("x"), {"--format", "jpeg"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("must be png, jpg, webp, tiff, bmp or same"));
}

TEST_F(RestoreCommand, ScaleIsAFinalResize) {
  ASSERT_EQ(restore(path("in/a.png"), path("x4.png")).status, 0);
  ASSERT_EQ(restore(path("in/a.png"), path("x2.png"), {"--scale", "2"}).status, 0);
  ASSERT_EQ(restore(path("in/a.png"), path("x2.5.png"), {"--scale", "2.5"}).status, 0);
  const auto half = resize_bicubic(read_image(path("x4.png")).rgb, 18, 26, /*antialias=*/true).clamp(0, 1);
  EXPECT_TRUE(torch::allclose(read_image(path("x2.png")).rgb, half, 0, 2.1 / 255));
  EXPECT_EQ(read_image(path("x2.5.png")).rgb.sizes(), (std::vector<int64_t>{3, 23, 33}));
  EXPECT_EQ(restore(path("in/a.png"), path("x.png"), {"--scale", "0"}).status, 2);
}

TEST_F(RestoreCommand, ExistingResultsAreKeptWhereAsked) {
  write_rgb(path("in/b.png"), picture("b", 8, 8));
  ASSERT_EQ(restore(path("in"), path("out")).status, 0);
  write_text(path("out/a.png"), "kept");
  std::filesystem::remove(path("out/b.png"));
  const auto result = restore(path("in"), path("out"), {"--skip-existing"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 of 2 results are there already"));
  EXPECT_EQ(read_file(path("out/a.png")), "kept");
  EXPECT_EQ(read_image(path("out/b.png")).height(), 32);
  std::filesystem::remove_all(folder_ / "weights");  // nothing is left to do, so nothing is loaded
  EXPECT_EQ(restore(path("in"), path("out"), {"--skip-existing"}).status, 0);
}

TEST_F(RestoreCommand, SeveralSeedsWithMeanAndSpread) {
  const auto result = restore(path("in/a.png"), path("s.png"), {"--seeds", "3", "--seed", "7", "--noise", "random"});
  ASSERT_EQ(result.status, 0) << result.err;
  ASSERT_EQ(restore(path("in/a.png"), path("one.png"), {"--seed", "8", "--noise", "random"}).status, 0);
  EXPECT_TRUE(same_bytes(path("s-seed8.png"), path("one.png")));
  std::vector<at::Tensor> samples;
  for (const std::string name : {"s.png", "s-seed8.png", "s-seed9.png"}) samples.push_back(read_image(path(name)).rgb);
  const auto stacked = torch::stack(samples);
  EXPECT_TRUE(torch::allclose(read_image(path("s-mean.png")).rgb, stacked.mean(0), 0, 1.6 / 255));  // truncated, then rounded
  const auto spread = read_image(path("s-spread.png"));
  EXPECT_EQ(spread.bit_depth, 16);
  EXPECT_TRUE(torch::allclose(spread.rgb, (4 * stacked.std(0)).clamp(0, 1), 0, 4 * 0.75 / 255));
  EXPECT_GT(spread.rgb.mean().item<double>(), 0.0);
  ASSERT_EQ(restore(path("in/a.png"), path("s.png"), {"--seeds", "3", "--seed", "7", "--skip-existing"}).status, 0);
  EXPECT_EQ(restore(path("in/a.png"), path("s.png"), {"--seeds", "0"}).status, 2);
}

TEST_F(RestoreCommand, PredictionsOfTheSteps) {
  ASSERT_EQ(restore(path("in"), path("out"), {"--intermediate", path("steps")}).status, 0);
  for (const std::string step : {"4", "3", "2", "1"}) {
    EXPECT_EQ(read_image(path("steps/a-t" + step + "-x0.png")).rgb.sizes(), (std::vector<int64_t>{3, 64, 64}));
  }
}

TEST_F(RestoreCommand, MemoryBoundsLargePicturesAlone) {
  ASSERT_EQ(restore(path("in/a.png"), path("plain.png"), {"--memory", "off"}).status, 0);
  for (const std::string memory : {"64", "auto"}) {
    ASSERT_EQ(restore(path("in/a.png"), path("bounded.png"), {"--memory", memory}).status, 0);
    EXPECT_TRUE(same_bytes(path("plain.png"), path("bounded.png")));
  }
  write_rgb(path("large.png"), picture("l", 50, 70));
  const std::vector<std::string> small_patches = {"--tile", "16", "--memory", "64", "--noise-maps", path("maps")};
  ASSERT_EQ(restore(path("large.png"), path("large4.png"), small_patches).status, 0);
  EXPECT_EQ(read_image(path("large4.png")).rgb.sizes(), (std::vector<int64_t>{3, 200, 280}));
  EXPECT_EQ(read_image(path("maps/large4-t4.png")).rgb.sizes(), (std::vector<int64_t>{3, 56, 72}));
  const auto poor = restore(path("large.png"), path("x.png"), {"--memory", "0.01"});
  EXPECT_EQ(poor.status, 1);
  EXPECT_THAT(poor.err, HasSubstr("0.01 GiB of memory are too few"));
  EXPECT_EQ(restore(path("large.png"), path("x.png"), {"--memory", "lots"}).status, 2);
}

TEST_F(RestoreCommand, BoundedMemoryIsKept) {
  write_system(folder_.path(), micro_system());
  write_rgb(path("wide.png"), picture("w", 160, 640));
  const std::vector<std::string> common = {"--steps", "1", "--tile", "32", "--tile-stride", "32"};
  const auto with_memory = [&](const std::string& memory) {
    auto options = common;
    options.insert(options.end(), {"--memory", memory});
    const auto result = restore(path("wide.png"), path(memory + ".png"), options);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.peak_mebibytes;
  };
  const double idle = restore(path("in/a.png"), path("idle.png"), common).peak_mebibytes;
  const double bounded = with_memory("0.5") - idle, published = with_memory("off") - idle;
  EXPECT_LT(bounded + idle, 512);
  EXPECT_LT(bounded, published / 2);
  EXPECT_EQ(read_image(path("0.5.png")).rgb.sizes(), (std::vector<int64_t>{3, 640, 2560}));
}

// The repository's experiments of one step, and their teacher's of fifteen.
TEST_F(RestoreCommand, OneStepExperiments) {
  const auto folder = std::filesystem::path(LPNSR_SOURCE_DIR) / "experiments";
  const std::map<std::string, std::string> files = {{"sinsr", "SinSR_v1.pth"},
                                                    {"rsd", "ema_model_2800.pth"},
                                                    {"resshift_vsd", "runs/resshift_vsd/student.safetensors"},
                                                    {"resshift_t15", "resshift_realsrx4_s15_v1.pth"}};
  write_rgb(path("large.png"), picture("l", 40, 44));
  std::filesystem::create_directories(folder_ / "weights/runs/resshift_vsd");
  const SystemOptions small = small_system();
  for (const auto& [name, file] : files) {
    SCOPED_TRACE(name);
    // With nothing there the message names the file and where it comes from.
    const auto own = (folder / (name + ".toml")).string();
    const auto missing =
        run_program({"restore", "-i", path("in"), "-o", path("none"), "--experiment", own, "--weights-dir", path("empty")});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.err, AllOf(HasSubstr(file), HasSubstr("the denoiser")));
    EXPECT_THAT(missing.err, HasSubstr(name == "resshift_vsd" ? "lpnsr train " + own + " --output runs/resshift_vsd" : "https://"));
    EXPECT_FALSE(std::filesystem::exists(path("none")));

    Experiment experiment = load_experiment(own);
    const int64_t noise_channels = experiment.system.denoiser.noise_channels;
    EXPECT_EQ(noise_channels, name == "rsd" ? 1 : 0);
    experiment.system.denoiser = small.denoiser;
    experiment.system.denoiser.noise_channels = noise_channels;
    experiment.system.autoencoder = small.autoencoder;
    experiment.restore.pad_multiple = 8;
    experiment.restore.tile = 32;
    experiment.restore.tile_stride = 24;
    write_text(folder_ / "small.toml", write_config(fields_of(experiment)));
    write_safetensors(folder_ / "weights" / file, state_dict(*small_network<SwinUNet>(experiment.system.denoiser, "unet")));
    const auto result = restore(path("large.png"), path(name + ".png"));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(read_image(path(name + ".png")).rgb.sizes(), (std::vector<int64_t>{3, 160, 176}));
    ASSERT_EQ(restore(path("large.png"), path("bounded.png"), {"--memory", "64"}).status, 0);
    EXPECT_EQ(read_image(path("bounded.png")).rgb.sizes(), (std::vector<int64_t>{3, 160, 176}));
  }
  EXPECT_NE(read_file(path("sinsr.png")), read_file(path("resshift_t15.png")));
}

TEST_F(RestoreCommand, NoiseSourcesAndMaps) {
  std::filesystem::create_directories(folder_ / "true");
  write_rgb(path("true/a.png"), picture("hr", 36, 52));
  for (const std::string noise : {"predictor", "random", "approximate", "optimal"}) {
    const auto result =
        restore(path("in/a.png"), path(noise + ".png"), {"--noise", noise, "--reference", path("true"), "--noise-maps", path(noise)});
    ASSERT_EQ(result.status, 0) << result.err;
    for (const std::string step : {"2", "3", "4"}) {
      EXPECT_EQ(read_image(path(noise + "/" + noise + "-t" + step + ".png")).rgb.sizes(), (std::vector<int64_t>{3, 16, 16}));
    }
  }
  ASSERT_EQ(restore(path("in/a.png"), path("off.png"), {"--predictor-off", "4,3,2"}).status, 0);
  EXPECT_TRUE(same_bytes(path("off.png"), path("random.png")));
  EXPECT_NE(read_file(path("off.png")), read_file(path("predictor.png")));
  const auto missing = restore(path("in/a.png"), path("x.png"), {"--noise", "optimal"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, HasSubstr("--reference"));
}

TEST_F(RestoreCommand, Patches) {
  write_rgb(path("wide.png"), picture("w", 8, 30));
  ASSERT_EQ(restore(path("wide.png"), path("cut.png"), {"--tile", "16", "--noise-maps", path("maps")}).status, 0);
  EXPECT_EQ(read_image(path("cut.png")).rgb.sizes(), (std::vector<int64_t>{3, 32, 120}));
  EXPECT_TRUE(std::filesystem::exists(path("maps/cut-t4-patch3.png")));
  EXPECT_FALSE(std::filesystem::exists(path("maps/cut-t4-patch4.png")));
}

TEST_F(RestoreCommand, RefusesWithTheReason) {
  const auto refused = [&](const std::vector<std::string>& more, int status, const std::string& why) {
    const auto result = restore(path("in"), path("out"), more);
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_THAT(result.err, HasSubstr(why));
  };
  refused({"--steps", "5"}, 2, "sampling.steps is 5");
  refused({"--noise", "randum"}, 2, "random");
  refused({"--tile", "20"}, 2, "restore.tile is 20");
  refused({"--predictor-off", "1"}, 2, "predictor_off");
  refused({"--pre-upsampler", "bsrgan"}, 1, "BSRGAN.pth");
  EXPECT_THAT(
      restore(path("in"), path("out"), {"--pre-upsampler", "bsrgan", "--set", "weights.denoiser=none.pth"}).err,
      AllOf(HasSubstr("none.pth: the weights of the denoiser are missing"), HasSubstr("BSRGAN.pth: the weights of the pre-upsampler")));
  EXPECT_THAT(restore(path("in"), path("in")).err, HasSubstr("would be overwritten"));
  EXPECT_THAT(restore(path("nothing"), path("out")).err, HasSubstr("does not exist"));
  EXPECT_THAT(restore(path("in"), path("small.toml")).err, HasSubstr("is a file"));
  write_rgb(path("in/a.jpg"), picture("a", 4, 4));
  EXPECT_THAT(restore(path("in"), path("out")).err, HasSubstr("would both be written"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

}  // namespace
}  // namespace lpnsr::testing
