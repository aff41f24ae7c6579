// `lpnsr forward` against the modules called directly, on synthetic weights; and what it refuses.
#include "core/checkpoint.h"
#include "core/state_dict.h"
#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"
#include "eval/niqe.h"
#include "eval/psnr_ssim.h"
#include "losses/discriminator.h"
#include "losses/lpips.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference.h"
#include "tests/support/small_system.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* unet_toml =
    "use_fp16 = false\ndims = 2\nimage_size = 16\nmodel_channels = 32\nattention_resolutions = [16, 8]\nchannel_mult = [1, "
    "2]\nnum_res_blocks = [1, 1]\n"
    "num_head_channels = 16\nswin_embed_dim = 32\nwindow_size = 4\nlq_size = 16\n";

class Forward : public ::testing::Test {
 protected:
  template <class Holder>
  Holder with_weights(Holder module, const std::string& file = "weights.safetensors") {
    fill_synthetic(*module, "forward");
    module->eval();
    write_safetensors(folder_ / file, state_dict(*module));
    return module;
  }

  StateDict images(const std::vector<std::string>& names, at::IntArrayRef shape) {
    StateDict inputs;
    for (const auto& name : names) inputs.add(name, synthetic_tensor("forward", name, shape));
    return inputs;
  }

  ProgramResult run(const std::string& module, const StateDict& inputs, const std::string& toml, std::vector<std::string> more = {}) {
    write_safetensors(folder_ / "in.safetensors", inputs);
    std::vector<std::string> arguments = {"forward",   module,
                                          "--weights", (folder_ / "weights.safetensors").string(),
                                          "--inputs",  (folder_ / "in.safetensors").string(),
                                          "--outputs", (folder_ / "out.safetensors").string(),
                                          "--threads", "1"};
    if (!toml.empty()) {
      write_text(folder_ / "module.toml", toml);
      more.insert(more.end(), {"--config", (folder_ / "module.toml").string()});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  // The same network on the same machine: equal but for the order of sums in threads.
  void expect_output(const std::string& name, const at::Tensor& want) {
    const auto outputs = read_safetensors(folder_ / "out.safetensors").tensors;
    EXPECT_TRUE(close(outputs.at(name), want, 1e-5, 1e-5)) << name;
  }

  void expect_refusal(const ProgramResult& result, int status, const std::string& message) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.safetensors"));
  }

  TemporaryFolder folder_;
  torch::NoGradGuard no_grad_;
};

TEST_F(Forward, DenoiserEqualsTheModule) {
  auto denoiser = with_weights(SwinUNet(small_denoiser()));
  auto inputs = images({"x", "lq"}, {2, 3, 16, 16});
  inputs.add("t", torch::tensor({0, 3}, at::kLong));
  const auto result = run("denoiser", inputs, unet_toml);
  ASSERT_EQ(result.status, 0) << result.err;
  expect_output("out", denoiser->forward(inputs.at("x"), inputs.at("t"), inputs.at("lq")));
}

// Under our keys and as SinSR's and RSD's own configurations count channels.
TEST_F(Forward, ADenoiserWithNoiseInputEqualsTheModule) {
  SwinUNetOptions options = small_denoiser();
  options.noise_channels = 1;
  auto student = with_weights(SwinUNet(options));
  auto inputs = images({"x", "lq"}, {2, 3, 16, 16});
  inputs.add("noise", synthetic_tensor("forward", "noise", {2, 1, 16, 16}));
  inputs.add("t", torch::tensor({14, 3}, at::kLong));
  const std::string theirs = std::string(unet_toml).substr(0, std::string(unet_toml).find("lq_size")) + "in_channels = 7\n";
  const std::string counted_apart = theirs.substr(0, theirs.find("in_channels")) + "in_channels = 6\nnoise_channels = 1\n";
  for (const std::string& toml : {unet_toml + std::string("noise_channels = 1\n"), theirs, counted_apart}) {
    const auto result = run("denoiser", inputs, toml);
    ASSERT_EQ(result.status, 0) << result.err;
    expect_output("out", student->forward(inputs.at("x"), inputs.at("t"), inputs.at("lq"), inputs.at("noise")));
  }
}

// SinSR's branch for LR pictures of another size than the latent.
TEST_F(Forward, ADenoiserThatCountsItsChannelsTakesOtherSizesOfLr) {
  const std::string theirs = std::string(unet_toml).substr(0, std::string(unet_toml).find("lq_size"));
  for (const int64_t side : {32, 4}) {
    SwinUNetOptions options = small_denoiser();
    options.cond_lq = false;
    options.in_channels = side == 32 ? 15 : 6;
    auto denoiser = with_weights(SwinUNet(options));
    auto inputs = images({"x"}, {2, 3, 16, 16});
    inputs.add("lq", synthetic_tensor("forward", "lq", {2, 3, side, side}));
    inputs.add("t", torch::tensor({14, 3}, at::kLong));
    const auto result = run("denoiser", inputs, theirs + "in_channels = " + std::to_string(options.in_channels) + "\n");
    ASSERT_EQ(result.status, 0) << result.err;
    const auto condition = condition_of_size(inputs.at("lq"), 16, 16);
    expect_output("out", denoiser->forward(torch::cat({inputs.at("x"), condition}, 1), inputs.at("t"), {}));
    std::filesystem::remove(folder_ / "out.safetensors");
    inputs.add("lq", synthetic_tensor("forward", "lq", {2, 3, 8, 8}));
    expect_refusal(run("denoiser", inputs, theirs + "in_channels = 6\n"), 2, "the LR condition is 8x8; beside a latent of 16x16");
    inputs.add("lq", synthetic_tensor("forward", "lq", {2, 3, 32, 32}));
    expect_refusal(run("denoiser", inputs, theirs + "in_channels = 6\n"), 1, "in_channels is 6, but x has 3 and tensor 'lq' gives 12");
  }
}

TEST_F(Forward, NoisePredictorEqualsTheModule) {
  auto predictor = with_weights(NoisePredictor(small_denoiser()));
  auto inputs = images({"x", "x0", "lq"}, {1, 3, 16, 16});
  inputs.add("t", torch::tensor({2}, at::kLong));
  const auto result = run("noise_predictor", inputs, unet_toml);
  ASSERT_EQ(result.status, 0) << result.err;
  const auto noise = predictor->forward(inputs.at("x"), inputs.at("x0"), inputs.at("lq"), inputs.at("t"));
  expect_output("mean", noise.mean);
  expect_output("logvar", noise.logvar);
}

TEST_F(Forward, AutoencoderEqualsTheModule) {
  AutoencoderOptions options;
  options.n_embed = 64;
  options.ddconfig.ch = 32;
  options.ddconfig.num_res_blocks = 1;
  auto autoencoder = with_weights(Autoencoder(options));
  const std::string toml = "n_embed = 64\nrank = 8\n[ddconfig]\npadding_mode = \"zeros\"\nch = 32\nnum_res_blocks = 1\n";
  const auto image = images({"image"}, {1, 3, 32, 24});
  auto result = run("autoencoder.encode", image, toml);
  ASSERT_EQ(result.status, 0) << result.err;
  expect_output("latent", autoencoder->encode(image.at("image")));

  const auto latent = images({"latent"}, {1, 3, 8, 6});
  result = run("autoencoder.decode", latent, toml);
  ASSERT_EQ(result.status, 0) << result.err;
  const auto quantised = autoencoder->quantise(latent.at("latent"));
  expect_output("image", autoencoder->decode_not_quantised(quantised.latent));
  const auto indices = read_safetensors(folder_ / "out.safetensors").tensors.at("indices");
  EXPECT_EQ(indices.scalar_type(), at::kLong);
  EXPECT_TRUE(indices.equal(quantised.indices));
}

TEST_F(Forward, PreUpsamplersEqualTheModules) {
  RRDBNetOptions rrdb_options;
  rrdb_options.num_feat = 16;
  rrdb_options.num_block = 1;
  rrdb_options.num_grow_ch = 8;
  auto rrdbnet = with_weights(RRDBNet(rrdb_options));
  const auto inputs = images({"image"}, {1, 3, 10, 7});
  auto result = run("rrdbnet", inputs, "num_feat = 16\nnum_block = 1\nnum_grow_ch = 8\n");
  ASSERT_EQ(result.status, 0) << result.err;
  expect_output("image", rrdbnet->forward(inputs.at("image")));

  SwinIROptions swinir_options;
  swinir_options.img_size = 16;
  swinir_options.window_size = 4;
  swinir_options.depths = {2};
  swinir_options.embed_dim = 32;
  swinir_options.num_heads = {2};
  auto swinir = with_weights(SwinIR(swinir_options));
  result = run("swinir", inputs, "img_size = 16\nwindow_size = 4\ndepths = [2]\nembed_dim = 32\nnum_heads = [2]\n");
  ASSERT_EQ(result.status, 0) << result.err;
  expect_output("image", swinir->forward(inputs.at("image")));
}

TEST_F(Forward, DiscriminatorRunsInEvalMode) {
  DiscriminatorOptions options;
  options.ndf = 8;
  auto discriminator = with_weights(Discriminator(options));
  const auto inputs = images({"image"}, {1, 3, 48, 32});
  const auto result = run("discriminator", inputs, "", {"--set", "ndf=8"});
  ASSERT_EQ(result.status, 0) << result.err;
  expect_output("logits", discriminator->forward(inputs.at("image")));
}

TEST_F(Forward, MetricsScoreEachImage) {
  auto inputs = images({"image", "reference"}, {2, 3, 32, 40});
  for (const std::string name : {"image", "reference"}) inputs.add(name, (inputs.at(name).clamp(-1, 1) + 1).mul(127.5).round() / 255);
  write_safetensors(folder_ / "in.safetensors", inputs);
  for (const std::string metric : {"psnr", "ssim"}) {
    const auto result = run_program({"forward", metric, "--inputs", (folder_ / "in.safetensors").string(), "--outputs",
                                     (folder_ / "out.safetensors").string(), "--set", "crop=2", "--set", "protocol=basicsr"});
    ASSERT_EQ(result.status, 0) << result.err;
    PsnrSsimOptions options;
    options.protocol = "basicsr";
    options.crop = 2;
    const auto score = metric == "psnr" ? psnr : ssim;
    expect_output("value", torch::tensor({score(inputs.at("image")[0], inputs.at("reference")[0], options),
                                          score(inputs.at("image")[1], inputs.at("reference")[1], options)}));
  }
}

TEST_F(Forward, LpipsTakesTheWholeModuleOrItsTwoFiles) {
  Lpips lpips(LpipsNetwork::alex);
  fill_synthetic(*lpips, "forward", {"scaling_layer"});  // whose constants are part of LPIPS
  lpips->eval();
  write_safetensors(folder_ / "weights.safetensors", state_dict(*lpips));
  StateDict inputs;
  for (const std::string name : {"image", "reference"}) inputs.add(name, synthetic_tensor("forward", name, {2, 3, 64, 48}, 0.2, 0.5));
  const auto want = lpips->forward(inputs.at("image") * 2 - 1, inputs.at("reference") * 2 - 1);
  const auto whole = run("lpips.alex", inputs, "");
  ASSERT_EQ(whole.status, 0) << whole.err;
  expect_output("value", want);

  StateDict backbone, linear;
  for (const auto& [key, tensor] : state_dict(*lpips)) (key.rfind("lin", 0) == 0 ? linear : backbone).add(key, tensor);
  write_safetensors(folder_ / "weights.safetensors", backbone);
  write_safetensors(folder_ / "linear.safetensors", linear);
  std::filesystem::remove(folder_ / "out.safetensors");
  const auto two = run("lpips.alex", inputs, "", {"--weights", (folder_ / "linear.safetensors").string()});
  ASSERT_EQ(two.status, 0) << two.err;
  expect_output("value", want);
  std::filesystem::remove(folder_ / "out.safetensors");
  expect_refusal(run("lpips.alex", inputs, ""), 1, "the linear layers are missing");
}

// Niqe's pristine parameters of a mean of zero and an identity.
StateDict plain_pristine() {
  StateDict parameters;
  parameters.add("mu_pris_param", torch::zeros({1, 36}, at::kDouble));
  parameters.add("cov_pris_param", torch::eye(36, at::kDouble));
  return parameters;
}

TEST_F(Forward, MetricsWithoutReference) {
  write_safetensors(folder_ / "weights.safetensors", plain_pristine());
  StateDict inputs;
  inputs.add("image", (synthetic_tensor("forward", "image", {2, 3, 100, 196}, 0.5, 0.5) * 255).round() / 255);
  const auto pristine = read_niqe_pristine(folder_ / "weights.safetensors");
  const auto want = torch::tensor({niqe(inputs.at("image")[0], pristine), niqe(inputs.at("image")[1], pristine)});
  const auto given = run("niqe", inputs, "");
  ASSERT_EQ(given.status, 0) << given.err;
  expect_output("value", want);

  // Found below the weights folder under its published name; options by --set.
  write_safetensors(folder_ / "niqe_pris_params.safetensors", plain_pristine());
  const auto found =
      run_program({"forward", "niqe", "--weights-dir", folder_.path().string(), "--inputs", (folder_ / "in.safetensors").string(),
                   "--outputs", (folder_ / "out.safetensors").string(), "--set", "flavour=basicsr"});
  ASSERT_EQ(found.status, 0) << found.err;
  expect_output("value", torch::tensor({niqe(inputs.at("image")[0], pristine, {.flavour = "basicsr"}),
                                        niqe(inputs.at("image")[1], pristine, {.flavour = "basicsr"})}));
  std::filesystem::remove(folder_ / "out.safetensors");
  inputs.add("image", torch::zeros({1, 3, 7, 7}));
  expect_refusal(run("niqe", inputs, ""), 2, "NIQE needs 96 pixels a side");
}

TEST_F(Forward, Bfloat16IsNearButNotEqual) {
  auto denoiser = with_weights(SwinUNet(small_denoiser()));
  auto inputs = images({"x", "lq"}, {1, 3, 16, 16});
  inputs.add("t", torch::tensor({1}, at::kLong));
  const auto result = run("denoiser", inputs, unet_toml, {"--precision", "bf16"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto got = read_safetensors(folder_ / "out.safetensors").tensors.at("out");
  const auto want = denoiser->forward(inputs.at("x"), inputs.at("t"), inputs.at("lq"));
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  const double error = ((got - want).norm() / want.norm()).item<double>();
  EXPECT_GT(error, 1e-6);
  EXPECT_LT(error, 0.1);
}

TEST_F(Forward, RefusesUnknownModulesAndKeys) {
  with_weights(SwinUNet(small_denoiser()));
  const auto inputs = images({"x"}, {1, 3, 16, 16});
  expect_refusal(run("denoizer", inputs, unet_toml), 2, "unknown module 'denoizer'; did you mean 'denoiser'?");
  expect_refusal(run("denoiser", inputs, "model_chanels = 32\n"), 2, "model_channels");
  expect_refusal(run("denoiser", inputs, unet_toml, {"--weights", "second.pth"}), 2, "takes one file of weights; 2 were given");
  expect_refusal(run("psnr", inputs, ""), 2, "psnr has no weights");
  expect_refusal(run("lpips.vgg", inputs, unet_toml), 2, "lpips.vgg has no configuration");
}

TEST_F(Forward, RefusesTensorsThatTheModuleDoesNotTake) {
  with_weights(SwinUNet(small_denoiser()));
  auto inputs = images({"x", "lq"}, {2, 3, 16, 16});
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 't' is missing (int64 [2]");
  inputs.add("t", torch::tensor({0, 1}, at::kInt));
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 't' is int32 [2]; int64 [2]");
  inputs.add("t", torch::tensor({0, -1}, at::kLong));
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 't' holds negative values");
  inputs.add("t", torch::tensor({0, 1}, at::kLong));
  inputs.add("x", torch::zeros({2, 4, 16, 16}));
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 'x' is float32 [2,4,16,16]; float32 [N,3,H,W] expected");
  inputs.add("x", torch::zeros({2, 3, 16, 16}, at::kDouble));
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 'x' is float64 [2,3,16,16]; float32 [N,3,H,W] expected");
  inputs.add("x", torch::zeros({2, 3, 16, 16}));
  inputs.add("lq", torch::zeros({1, 3, 16, 16}));
  expect_refusal(run("denoiser", inputs, unet_toml), 1, "tensor 'lq' is float32 [1,3,16,16]; float32 [2,3,H,W] expected");
}

TEST_F(Forward, RefusesWeightsOfAnotherArchitecture) {
  with_weights(SwinUNet(small_denoiser()));
  auto inputs = images({"x", "lq"}, {1, 3, 16, 16});
  inputs.add("t", torch::tensor({0}, at::kLong));
  const auto result = run("denoiser", inputs, std::string(unet_toml) + "swin_depth = 1\n");
  expect_refusal(result, 1, "weights.safetensors");
}

}  // namespace
}  // namespace lpnsr::testing
