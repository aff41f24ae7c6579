#include "tests/support/training_reference.h"

#include "tests/support/synthetic.h"

namespace lpnsr::testing {
namespace {

constexpr const char* salt = "shared";

at::Tensor as_double(const std::string& name, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  return torch::tensor(synthetic_value(salt, name, count), torch::kFloat64).reshape(shape);
}

}  // namespace

Batch reference_images(const std::string& name, int64_t batch, int64_t latent) {
  namespace F = torch::nn::functional;
  const int64_t side = 4 * latent;
  const at::Tensor coarse =
      F::interpolate(as_double(name + "/coarse", {batch, 3, 4, 4}),
                     F::InterpolateFuncOptions().size(std::vector<int64_t>{side, side}).mode(torch::kBilinear).align_corners(false));
  const at::Tensor hr = 0.5 + 0.25 * coarse + 0.15 * as_double(name + "/fine", {batch, 3, side, side});
  const at::Tensor lr = at::avg_pool2d(hr, {4, 4}) + 0.05 * as_double(name + "/lrnoise", {batch, 3, latent, latent});
  return {hr.clamp(0, 1).to(torch::kFloat32), lr.clamp(0, 1).to(torch::kFloat32)};
}

at::Tensor reference_noise(const std::string& name, int64_t batch, int64_t latent) {
  return synthetic_tensor(salt, name, {batch, 3, latent, latent}, std::sqrt(3.0));
}

DrawNormal reference_draws(const std::string& name, int64_t batch) {
  auto next = std::make_shared<int>(0);
  return [name, batch, next](at::IntArrayRef shape) {
    static const std::vector<std::string> order = {"eps_init", "eps_3", "eps_2", "eps_1"};
    const auto index = static_cast<size_t>((*next)++);
    if (index >= order.size()) return torch::zeros(shape);
    return reference_noise(name + "/" + order[index], batch, shape.back());
  };
}

void to_double(NoisePredictorTrainer::Networks& networks, Lpips& lpips) {
  networks.denoiser->to(torch::kFloat64);
  networks.predictor->to(torch::kFloat64);
  networks.autoencoder->to(torch::kFloat64);
  lpips->to(torch::kFloat64);
}

Batch to_double(const Batch& batch) { return {batch.hr.to(torch::kFloat64), batch.lr.to(torch::kFloat64)}; }

SwinUNetOptions reference_unet() {
  SwinUNetOptions options;
  options.image_size = 16;
  options.model_channels = 64;
  options.attention_resolutions = {16, 8};
  options.channel_mult = {1, 2};
  options.num_res_blocks = {1, 1};
  options.num_head_channels = 16;
  options.swin_embed_dim = 64;
  options.mlp_ratio = 2;
  options.lq_size = 16;
  return options;
}

AutoencoderOptions reference_autoencoder(int64_t codes) {
  AutoencoderOptions options;
  options.n_embed = codes;
  options.ddconfig.ch = 32;
  options.ddconfig.ch_mult = {1, 1, 2};
  options.ddconfig.num_res_blocks = 1;
  options.ddconfig.resolution = 64;
  return options;
}

NoisePredictorTrainer::Networks reference_networks(int64_t codes, bool doubled_output) {
  NoisePredictorTrainer::Networks networks{SwinUNet(reference_unet()), NoisePredictor(reference_unet()),
                                           Autoencoder(reference_autoencoder(codes))};
  fill_synthetic(*networks.denoiser, "shared/denoiser");
  fill_synthetic(*networks.predictor, "shared/predictor");
  fill_synthetic(*networks.autoencoder, "shared/vae");
  if (doubled_output) {
    const torch::NoGradGuard no_grad;
    networks.autoencoder->named_parameters()["decoder.conv_out.weight"].mul_(2.0);
  }
  return networks;
}

Lpips reference_lpips() {
  Lpips lpips(LpipsNetwork::vgg);
  fill_synthetic(*lpips, "shared/lpips", {"scaling_layer"});
  const torch::NoGradGuard no_grad;
  for (const auto& [key, tensor] : state_dict(*lpips)) {
    if (key.starts_with("lin")) tensor.copy_(tensor.abs());
  }
  return lpips;
}

void fill_discriminator(Discriminator& discriminator, const std::string& disc_salt) {
  fill_synthetic(*discriminator, disc_salt);
  const torch::NoGradGuard no_grad;
  for (const auto& [key, tensor] : state_dict(*discriminator)) {
    if (key.ends_with("weight_u") || key.ends_with("weight_v")) tensor.div_(tensor.norm());
  }
}

Experiment reference_experiment(bool latent_gan, int64_t disc_layers) {
  Experiment experiment;
  experiment.system.denoiser = experiment.system.noise_predictor = reference_unet();
  experiment.gan.space = latent_gan ? "latent" : "image";
  experiment.losses.clamp_image = !latent_gan;
  experiment.gan.discriminator.ndf = 8;
  experiment.gan.discriminator.n_layers = disc_layers;
  return experiment;
}

at::Tensor norms_of(const std::vector<at::Tensor>& tensors) {
  std::vector<double> norms;
  for (const auto& tensor : tensors) norms.push_back(tensor.to(torch::kFloat64).norm().item<double>());
  return torch::tensor(norms, torch::kFloat64);
}

at::Tensor probes_of(const std::vector<std::string>& keys, const std::vector<at::Tensor>& tensors) {
  std::vector<double> probes;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor probe = synthetic_tensor(salt, "probe/" + keys[i], tensors[i].sizes());
    probes.push_back((tensors[i].to(torch::kFloat64) * probe.to(torch::kFloat64)).sum().item<double>());
  }
  return torch::tensor(probes, torch::kFloat64);
}

}  // namespace lpnsr::testing
