#include "core/checkpoint.h"
#include "core/error.h"
#include "core/resize.h"
#include "diffusion/image_ops.h"
#include "diffusion/pre_upsampling.h"
#include "diffusion/restorer.h"
#include "tests/support/fixtures.h"
#include "tests/support/small_system.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

RestoreOptions small_restore() {
  RestoreOptions options;
  options.pad_multiple = 8;
  options.pad_power_of_two = false;
  return options;
}

at::Tensor picture(int64_t height, int64_t width) { return synthetic_tensor("restorer", "lr", {3, height, width}, 0.5, 0.5); }

class RestorerTest : public ::testing::Test {
 protected:
  Restorer restorer(const RestoreOptions& options, const SystemOptions& system = small_system()) {
    return {system, options, denoiser_, predictor_, autoencoder_, bicubic_pre_upsampler(4)};
  }
  SystemOptions system_ = small_system();
  SwinUNet denoiser_ = small_network<SwinUNet>(system_.denoiser, "unet");
  NoisePredictor predictor_ = small_network<NoisePredictor>(system_.noise_predictor, "np");
  Autoencoder autoencoder_ = small_network<Autoencoder>(system_.autoencoder, "vae");
};

TEST_F(RestorerTest, AnySizeBecomesFourTimesAsLarge) {
  const auto restorer_ = restorer(small_restore());
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {3, 70}, {17, 8}}) {
    const auto image = restorer_.restore(picture(height, width));
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{3, 4 * height, 4 * width}));
    EXPECT_GE(image.min().item<double>(), 0.0);
    EXPECT_LE(image.max().item<double>(), 1.0);
    EXPECT_FALSE(image.isnan().any().item<bool>());
  }
}

TEST_F(RestorerTest, SeedAloneDecidesTheDraws) {
  auto options = small_restore();
  const auto first = restorer(options), second = restorer(options);
  const auto image = first.restore(picture(16, 16));
  first.restore(picture(9, 20));
  EXPECT_TRUE(torch::equal(first.restore(picture(16, 16)), image));
  EXPECT_TRUE(torch::equal(second.restore(picture(16, 16)), image));
  options.seed = 6;
  EXPECT_FALSE(torch::equal(restorer(options).restore(picture(16, 16)), image));
}

TEST_F(RestorerTest, WaveletFixKeepsTheColoursOfTheInput) {
  auto options = small_restore();
  const auto lr = torch::full({3, 16, 16}, 0.5) + torch::tensor({0.2, 0.0, -0.2}).view({3, 1, 1});
  const auto distance = [&](const std::string& fix) {
    options.color_fix = fix;
    const auto image = restorer(options).restore(lr).to(torch::kFloat32);
    return (image.mean({1, 2}) - lr.mean({1, 2})).abs().max().item<float>();
  };
  EXPECT_LT(distance("wavelet"), 0.1F);
  EXPECT_LT(distance("wavelet"), distance("none"));
}

TEST_F(RestorerTest, PatchesOnlyAboveTheTile) {
  auto options = small_restore();
  const auto count = [&](int64_t tile, int64_t stride) {
    options.tile = tile;
    options.tile_stride = stride;
    int64_t patches = 0;
    const auto image =
        restorer(options).restore(picture(16, 40), std::nullopt, [&](const ChainState& state) { patches += state.index == 0; });
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{3, 64, 160}));
    return patches;
  };
  EXPECT_EQ(count(0, 16), 1);
  EXPECT_EQ(count(40, 16), 1);
  EXPECT_EQ(count(16, 8), 4);
  EXPECT_EQ(count(24, 24), 2);
}

TEST_F(RestorerTest, ReferenceIsCutLikeThePicture) {
  auto system = small_system();
  system.sampling.noise = "optimal";
  auto options = small_restore();
  options.tile = 16;
  options.tile_stride = 8;
  const auto lr = picture(16, 24);
  const auto hr = synthetic_tensor("restorer", "hr", {3, 64, 96}, 0.5, 0.5);
  const auto eta = make_schedule(system.schedule).eta[0];
  const torch::NoGradGuard no_grad;
  int64_t patch = 0;
  restorer(options, system).restore(lr, hr, [&](const ChainState& state) {
    if (state.index != 0) return;
    const int64_t left = 8 * patch++;
    const auto encode = [&](const at::Tensor& image) { return autoencoder_->encode(image.unsqueeze(0) * 2 - 1); };
    const auto x0 = encode(hr.slice(2, 4 * left, 4 * left + 64));
    const auto y0 = encode(resize_bicubic_scale(lr.slice(2, left, left + 16), 4));
    EXPECT_TRUE(torch::allclose(state.x_t, (1 - eta) * x0 + eta * y0, 0, 1e-3));
  });
  EXPECT_EQ(patch, 2);
  EXPECT_THROW_MESSAGE(restorer(options, system).restore(lr, lr), DataError, HasSubstr("would be 64x96"));
  EXPECT_THROW_MESSAGE(restorer(options, system).restore(lr), UsageError, HasSubstr("reference is needed"));
}

TEST_F(RestorerTest, RefusesSizesThatTheNetworksCannotTake) {
  auto options = small_restore();
  options.pad_multiple = 12;
  EXPECT_THROW_MESSAGE(restorer(options), UsageError, AllOf(HasSubstr("pad_multiple is 12"), HasSubstr("multiple of 8")));
  options = small_restore();
  options.tile = 20;
  EXPECT_THROW_MESSAGE(restorer(options), UsageError, HasSubstr("tile is 20"));
  options.tile = 16;
  options.tile_stride = 17;
  EXPECT_THROW_MESSAGE(restorer(options), UsageError, HasSubstr("tile_stride is 17"));
}

// Half a percent of the values may differ: a code may flip where two are nearly as close.
double share_outside(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  return ((got - want).abs() > tolerance).to(torch::kFloat64).mean().item<double>();
}

TEST_F(RestorerTest, PatchesInBatchesAreThePatchesOneByOne) {
  auto options = small_restore();
  options.tile = 16;
  options.tile_stride = 8;
  const auto one_by_one = restorer(options).restore(picture(24, 40));
  options.tile_batch = 3;
  int64_t states = 0;
  const auto batched =
      restorer(options).restore(picture(24, 40), std::nullopt, [&](const ChainState& state) { states += state.index == 0; });
  EXPECT_EQ(states, 4);  // two rows of four patches, three and one at a time
  EXPECT_LT(share_outside(batched, one_by_one, 1e-3), 0.005);
}

TEST_F(RestorerTest, BoundedMemoryLeavesAPictureThatFitsAsItIs) {
  auto options = small_restore();
  options.tile = 32;
  options.tile_stride = 16;
  const auto as_published = restorer(options).restore(picture(30, 19));
  options.memory = 64;
  EXPECT_TRUE(torch::equal(restorer(options).restore(picture(30, 19)), as_published));
}

TEST_F(RestorerTest, RowsMakeTheWholeAndOneChainRuns) {
  auto options = small_restore();
  options.tile = options.tile_stride = 16;
  options.memory = 64;
  const auto bounded = restorer(options);
  int64_t rows = 0, calls = 0, states = 0;
  const auto whole = bounded.restore(picture(41, 50), std::nullopt, [&](const ChainState& state) {
    ++states;
    EXPECT_EQ(state.x_t.sizes(), (std::vector<int64_t>{1, 3, 48, 56}));
  });
  EXPECT_EQ(states, 4);
  EXPECT_EQ(whole.sizes(), (std::vector<int64_t>{3, 164, 200}));
  bounded.restore_rows(picture(41, 50), std::nullopt, {}, [&](const at::Tensor& more) {
    EXPECT_TRUE(torch::equal(more, whole.slice(1, rows, rows + more.size(1))));
    rows += more.size(1);
    ++calls;
  });
  EXPECT_EQ(rows, 164);
  EXPECT_GT(calls, 2);
}

TEST_F(RestorerTest, BoundedMemoryInBatchesIsTheSame) {
  auto options = small_restore();
  options.tile = options.tile_stride = 16;
  options.memory = 64;
  const auto one_by_one = restorer(options).restore(picture(24, 40));
  options.tile_batch = 3;
  EXPECT_LT(share_outside(restorer(options).restore(picture(24, 40)), one_by_one, 1e-3), 0.005);
}

// Where the memory is bounded too, SinSR's padding is its own: reflected without the edge pixel.
TEST_F(RestorerTest, BoundedMemoryPadsAsTheProcedureDoes) {
  auto system = small_system();
  system.sampling.method = "one_step";
  auto options = small_restore();
  options.tile = options.tile_stride = 16;
  options.memory = 64;
  options.color_fix = "none";
  const auto lr = picture(21, 26);
  for (const std::string procedure : {"lpnsr", "sinsr"}) {
    options.procedure = procedure;
    const auto mirror = procedure == "sinsr" ? Mirror::skip_edge : Mirror::repeat_edge;
    const auto padded = pad_mirrored(lr.unsqueeze(0), 24, 32, mirror)[0];
    int64_t passes = 0;
    const auto restored = restorer(options, system).restore(lr, std::nullopt, [&passes](const ChainState& /*state*/) { ++passes; });
    EXPECT_EQ(passes, 1) << "one step for the picture as a whole";
    EXPECT_EQ(restored.sizes(), (std::vector<int64_t>{3, 84, 104}));
    EXPECT_TRUE(torch::equal(restored, restorer(options, system).restore(padded).slice(1, 0, 84).slice(2, 0, 104))) << procedure;
  }
}

// How much larger the steps between neighbouring columns are at the given ones than elsewhere. Seams run along a whole column and add up,
// texture does not: steps are those of the columns' means.
double seam(const at::Tensor& image, const std::vector<int64_t>& columns) {
  const auto steps = image.to(torch::kFloat64).mean(1).diff(1, 1).square().mean(0);
  auto at_seams = torch::zeros_like(steps, torch::kBool);
  for (const int64_t column : columns) at_seams[column - 1] = true;
  return (steps.masked_select(at_seams).mean() / steps.masked_select(at_seams.logical_not()).mean()).sqrt().item<double>();
}

TEST_F(RestorerTest, BoundedMemoryShowsNoSeams) {
  auto options = small_restore();
  options.color_fix = "none";
  const auto lr = picture(96, 104);
  options.tile = 0;
  std::vector<at::Tensor> pieces;
  for (const int64_t left : {0, 32, 64}) pieces.push_back(restorer(options).restore(lr.slice(2, left, left + 32)));
  const double cut = seam(torch::cat(pieces, 2), {128, 256});
  options.tile = options.tile_stride = 32;
  options.memory = 64;
  // Patches of 32 every 16: where one begins and where one ends.
  const double blended = seam(restorer(options).restore(lr), {64, 128, 192, 256, 320, 384});
  EXPECT_LT(blended, 1.25);
  EXPECT_GT(cut, 1.5);  // patches side by side, which the measure must notice
}

TEST_F(RestorerTest, BoundedMemoryNeedsRoomForTheSmallestPatches) {
  auto options = small_restore();
  options.memory = 1e-3;
  EXPECT_THROW_MESSAGE(restorer(options).restore(picture(64, 64)), Error, HasSubstr("GiB of memory are too few for a picture of 64 x 64"));
}

TEST_F(RestorerTest, BoundedMemoryGivesTheColoursOfTheWhole) {
  auto options = small_restore();
  options.memory = 64;
  options.tile = options.tile_stride = 16;
  const auto lr = picture(40, 48);
  const auto restored = [&](const std::string& fix) {
    options.color_fix = fix;
    return restorer(options).restore(lr).unsqueeze(0);
  };
  const auto plain = restored("none"), upsampled = resize_bicubic_scale(lr.unsqueeze(0), 4);
  EXPECT_TRUE(torch::allclose(restored("adain"), adain_color_fix(plain, upsampled).clamp(0, 1), 0, 1e-5));
  EXPECT_TRUE(torch::allclose(restored("wavelet"), wavelet_color_fix(plain, upsampled).clamp(0, 1), 0, 1e-5));
  EXPECT_FALSE(torch::allclose(restored("adain"), plain, 0, 1e-2));
}

TEST_F(RestorerTest, LargerPicturesAndPatchesNeedMoreMemory) {
  const RestoreMemory memory{system_.denoiser, system_.autoencoder};
  EXPECT_GT(memory.published(512, 512, 256, 1), memory.published(256, 256, 256, 1));
  EXPECT_GT(memory.published(512, 512, 0, 1), memory.published(512, 512, 256, 1));
  EXPECT_GT(memory.bounded(3000, 4000, 256, 1), memory.bounded(3000, 4000, 128, 1));
  EXPECT_GT(memory.bounded(3000, 4000, 128, 4), memory.bounded(3000, 4000, 128, 1));
  EXPECT_LT(memory.bounded(3000, 4000, 128, 1), memory.published(3000, 4000, 256, 1) / 4);
}

TEST(PreUpsamplers, PicturesOfAnySizeInRows) {
  auto system = small_system();
  const auto lr = picture(150, 90);
  RestoreOptions options;
  options.tile = 64;
  std::vector<at::Tensor> bands;
  const auto restored = [&](const PreUpsampler& upsampler, double memory) {
    options.memory = memory;
    bands.clear();
    PreUpsampling(system, options, upsampler).restore_rows(lr, [&](const at::Tensor& rows) { bands.push_back(rows); });
    return torch::cat(bands, 1);
  };
  // What is held and half of what the whole takes.
  const auto bound = [&] {
    const PreUpsampling upsampling(system, options, bicubic_pre_upsampler(4));
    return upsampling.published_memory(150, 90) - UpsamplingMemory{system}.whole(150, 90) / kGibibyte / 2;
  };
  system.pre_upsampler = "bicubic";
  const auto whole = restored(bicubic_pre_upsampler(4), 0.0);
  EXPECT_EQ(whole.sizes(), (std::vector<int64_t>{3, 600, 360}));
  EXPECT_EQ(bands.size(), 1u);
  EXPECT_TRUE(torch::equal(whole, resize_bicubic_scale(lr, 4).clamp(0, 1)));
  EXPECT_TRUE(torch::equal(restored(bicubic_pre_upsampler(4), 64.0), whole));

  system.pre_upsampler = "realesrgan";
  system.rrdbnet.num_feat = 512;  // as the plan sees it, so that patches are worth it
  EXPECT_TRUE(torch::allclose(restored(bicubic_pre_upsampler(4), bound()), whole, 0, 1e-6));
  EXPECT_GT(bands.size(), 2u);
  const auto network = small_network<RRDBNet>(small_system().rrdbnet, "realesrgan");
  const PreUpsampler of_network = [&](const at::Tensor& image) { return network.ptr()->forward(image); };
  EXPECT_TRUE(torch::allclose(restored(of_network, bound()), restored(of_network, 0.0), 0, 1e-4));
  EXPECT_THROW_MESSAGE(restored(of_network, 1e-3), Error, HasSubstr("too few for a picture of 90 x 150"));
}

TEST(PreUpsamplers, LoadAndEnlarge) {
  const TemporaryFolder folder;
  const auto options = small_system();
  write_safetensors(folder / options.weights.swinir, state_dict(*small_network<SwinIR>(options.swinir, "swinir")));
  write_safetensors(folder / options.weights.bsrgan, state_dict(*small_network<RRDBNet>(options.rrdbnet, "bsrgan")));
  write_safetensors(folder / options.weights.realesrgan, state_dict(*small_network<RRDBNet>(options.rrdbnet, "realesrgan")));
  std::vector<at::Tensor> results;
  for (const std::string name : {"swinir", "bsrgan", "realesrgan", "bicubic"}) {
    auto chosen = options;
    chosen.pre_upsampler = name;
    for (const int64_t side : {1, 7}) {
      const auto image = load_pre_upsampler(chosen, folder.path())(picture(side, side + 2).unsqueeze(0));
      EXPECT_EQ(image.sizes(), (std::vector<int64_t>{1, 3, 4 * side, 4 * side + 8})) << name;
      EXPECT_FALSE(image.requires_grad());
      if (side == 7) results.push_back(image);
    }
  }
  EXPECT_FALSE(torch::allclose(results[1], results[2]));
  auto wrong = options;
  wrong.pre_upsampler = "swinir";
  wrong.swinir.upscale = 2;
  EXPECT_THROW_MESSAGE(load_pre_upsampler(wrong, folder.path()), UsageError, HasSubstr("enlarges 2 times"));
}

TEST(FindWeights, SaysWhereTheyWereLookedForAndComeFrom) {
  const TemporaryFolder folder;
  write_text(folder / "a.pth", "x");
  EXPECT_EQ(find_weights("a.pth", folder.path(), "the test"), folder / "a.pth");
  EXPECT_EQ(find_weights((folder / "a.pth").string(), "elsewhere", "the test"), folder / "a.pth");
  EXPECT_THROW_MESSAGE(find_weights("BSRGAN.pth", folder.path(), "the pre-upsampler BSRGAN"), Error,
                       AllOf(HasSubstr("the pre-upsampler BSRGAN"), HasSubstr((folder / "BSRGAN.pth").string()), HasSubstr("https://")));
}

}  // namespace
}  // namespace lpnsr::testing
