// The L1 and adversarial losses, the discriminator and LPIPS as a loss, against goldens/training.
#include "core/state_dict.h"
#include "losses/discriminator.h"
#include "losses/l1.h"
#include "losses/lpips.h"
#include "losses/spectral_norm.h"
#include "tests/support/reference.h"
#include "tests/support/synthetic.h"

namespace lpnsr {
namespace {

using testing::close;
using testing::ReferenceCase;
using testing::shared_salt;
using testing::synthetic_tensor;

double atol(const ReferenceCase& reference, const std::string& name) { return reference.description.at("atol").at(name).get<double>(); }

void expect_stored(const ReferenceCase& reference, const std::string& name, const at::Tensor& got) {
  EXPECT_TRUE(close(got, reference.at(name), atol(reference, name), 0.0)) << name;
}

TEST(ReferenceLosses, Elementary) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = testing::load_case("training/losses_elementary");
  for (const std::string name : {"hinge", "vanilla", "lsgan", "wgan"}) {
    const auto objective = parse_gan_objective(name);
    const auto real = synthetic_tensor(shared_salt, "logits/real", {2, 1, 5, 5}, 2.0).requires_grad_();
    const auto fake = synthetic_tensor(shared_salt, "logits/fake", {2, 1, 5, 5}, 2.0).requires_grad_();
    const auto loss = discriminator_loss(real, fake, objective);
    EXPECT_TRUE(torch::allclose(loss.total, (loss.real + loss.fake) / 2));
    loss.total.backward();
    expect_stored(reference, name + "/d_loss", loss.total.view({1}));
    expect_stored(reference, name + "/d_grad_real", real.grad());
    expect_stored(reference, name + "/d_grad_fake", fake.grad());
    const auto judged = synthetic_tensor(shared_salt, "logits/fake", {2, 1, 5, 5}, 2.0).requires_grad_();
    const auto generator = generator_loss(judged, objective);
    generator.backward();
    expect_stored(reference, name + "/g_loss", generator.view({1}));
    expect_stored(reference, name + "/g_grad", judged.grad());
  }
  const auto a = synthetic_tensor(shared_salt, "l1/a", {2, 3, 6, 6}).requires_grad_();
  const auto b = synthetic_tensor(shared_salt, "l1/b", {2, 3, 6, 6});
  b[0][0][0].copy_(a.detach()[0][0][0]);  // the gradient of |0| is 0
  const auto loss = lpnsr::l1_loss(a, b);
  loss.backward();
  expect_stored(reference, "l1/loss", loss.view({1}));
  expect_stored(reference, "l1/grad", a.grad());
}

Discriminator synthetic_discriminator(const ReferenceCase& reference) {
  const auto& config = reference.description.at("config");
  DiscriminatorOptions options;
  options.ndf = config.at("ndf");
  options.n_layers = config.at("n_layers");
  options.norm = config.at("norm");
  Discriminator discriminator(options);
  testing::fill_synthetic(*discriminator, shared_salt + "/disc");
  const torch::NoGradGuard no_grad;
  for (const auto& [key, tensor] : state_dict(*discriminator)) {
    if (key.ends_with("weight_u") || key.ends_with("weight_v")) tensor.div_(tensor.norm());
  }
  return discriminator;
}

at::Tensor sigmas(Discriminator& discriminator) {
  std::vector<at::Tensor> values;
  for (const auto& child : discriminator->modules(false)) {
    if (const auto* layer = child->as<SpectralConv>()) values.push_back(layer->sigma());
  }
  return torch::stack(values);
}

void expect_discriminator(const std::string& name) {
  const auto reference = testing::load_case("training/" + name);
  auto discriminator = synthetic_discriminator(reference);
  const std::string shape = reference.description.at("inputs").get<std::string>().substr(std::string("disc_in ").size());
  std::vector<int64_t> sides(4);
  ASSERT_EQ(std::sscanf(shape.c_str(), "(%ld,%ld,%ld,%ld)", &sides[0], &sides[1], &sides[2], &sides[3]), 4);

  if (reference.description.contains("state_keys")) {
    const auto state = state_dict(*discriminator);
    ASSERT_EQ(state.size(), reference.description.at("state_keys").size());
    size_t i = 0;
    for (const auto& [key, tensor] : state) {
      const auto& want = reference.description.at("state_keys")[i++];
      EXPECT_EQ(key, want[0].get<std::string>());
      EXPECT_EQ(tensor.sizes().vec(), want[1].get<std::vector<int64_t>>()) << key;
    }
  }
  if (reference.description.contains("n_params")) {
    int64_t count = 0;
    for (const auto& parameter : discriminator->parameters()) count += parameter.numel();
    EXPECT_EQ(count, reference.description.at("n_params").get<int64_t>());
  }

  const auto expect_where_stored = [&](const std::string& key, const std::function<at::Tensor()>& got) {
    if (reference.tensors.contains(key)) expect_stored(reference, key, got());
  };
  for (int call = 0; call < 3 && reference.tensors.contains("train" + std::to_string(call) + "/out"); ++call) {
    const std::string prefix = "train" + std::to_string(call) + "/";
    discriminator->zero_grad();
    const auto input = synthetic_tensor(shared_salt, "disc_in", sides).requires_grad_();
    const auto out = discriminator->forward(input);
    torch::relu(1 - out).mean().backward();
    expect_stored(reference, prefix + "out", out);
    const auto parameters = discriminator->named_parameters();
    expect_where_stored(prefix + "hinge_real_grad_norms", [&] {
      std::vector<at::Tensor> norms;
      for (const auto& key : reference.description.at("params"))
        norms.push_back(parameters[key.get<std::string>()].grad().to(torch::kFloat64).norm());
      return torch::stack(norms);
    });
    expect_where_stored(prefix + "grad_input", [&] { return input.grad(); });
    expect_where_stored(prefix + "grad_model.0.weight_orig", [&] {
      const auto* spectral = parameters.find("model.0.weight_orig");
      return (spectral != nullptr ? *spectral : parameters["model.0.weight"]).grad();
    });
    expect_where_stored(prefix + "sigma", [&] { return sigmas(discriminator); });
    for (const auto& [key, tensor] : state_dict(*discriminator)) expect_where_stored(prefix + key, [&, value = tensor] { return value; });
  }
  discriminator->eval();
  const auto input = synthetic_tensor(shared_salt, "disc_in", sides);
  expect_stored(reference, "eval/out", discriminator->forward(input));
  expect_stored(reference, "eval/out_again", discriminator->forward(input));
}

TEST(ReferenceLosses, DiscriminatorSpectral) {
  LPNSR_REQUIRE_GOLDENS();
  expect_discriminator("losses_disc_tiny");
}

TEST(ReferenceLosses, DiscriminatorFullSize) {
  LPNSR_REQUIRE_GOLDENS();
  expect_discriminator("losses_disc_full_64");
  expect_discriminator("losses_disc_full_256");
}

TEST(ReferenceLosses, DiscriminatorOtherNorms) {
  LPNSR_REQUIRE_GOLDENS();
  for (const std::string norm : {"batch", "instance", "none"}) {
    SCOPED_TRACE(norm);
    expect_discriminator("losses_disc_" + norm);
  }
}

// `images(salt, name)` of goldens/training/README.md: a smooth picture with fine texture, in float64 until the end.
at::Tensor reference_picture(const std::string& name, int64_t batch, int64_t side) {
  const auto coarse = synthetic_tensor(shared_salt, name + "/coarse", {batch, 3, 4, 4}).to(torch::kFloat64);
  const auto fine = synthetic_tensor(shared_salt, name + "/fine", {batch, 3, side, side}).to(torch::kFloat64);
  const auto smooth = torch::upsample_bilinear2d(coarse, {side, side}, false);
  return (0.5 + 0.25 * smooth + 0.15 * fine).clamp(0, 1).to(torch::kFloat32);
}

TEST(ReferenceLosses, LpipsAsLoss) {
  LPNSR_REQUIRE_GOLDENS();
  const auto reference = testing::load_case("training/losses_lpips");
  Lpips lpips(LpipsNetwork::vgg);
  testing::fill_synthetic(*lpips, shared_salt + "/lpips", {"scaling_layer"});
  for (const auto& [key, tensor] : state_dict(*lpips)) {
    if (key.starts_with("lin")) tensor.abs_();
  }
  const auto truth = reference_picture("lpips/gt", 2, 64);
  const auto picture = (truth + 0.2 * synthetic_tensor(shared_salt, "lpips/pred", {2, 3, 64, 64})).requires_grad_();
  const auto layers = lpips->layers(picture * 2 - 1, truth * 2 - 1);
  const auto values = lpips->forward(picture * 2 - 1, truth * 2 - 1);
  const auto loss = values.mean();
  loss.backward();
  expect_stored(reference, "per_layer", torch::stack(layers));
  expect_stored(reference, "per_image", values);
  expect_stored(reference, "loss", loss.view({1}));
  using torch::indexing::Slice;
  expect_stored(reference, "grad_pred", picture.grad().index({Slice(), Slice(), Slice(0, {}, 2), Slice(0, {}, 2)}));
}

}  // namespace
}  // namespace lpnsr
