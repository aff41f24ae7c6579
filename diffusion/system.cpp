#include "diffusion/system.h"

#include <cstdlib>

#include <fmt/format.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/kernels/kernels.h"
#include "core/memory.h"
#include "core/published_weights.h"

namespace lpnsr {
namespace {

std::string source_of(const std::string& name) {
  const auto files = published_files();
  const auto* published = find_published(files, std::filesystem::path(name).filename().string());
  return published == nullptr ? "" : "; " + published->origin();
}

template <class Network, class Options>
Network load(const Options& options, const std::string& name, const std::filesystem::path& folder, const std::string& purpose) {
  Network network(options);
  load_frozen(*network, name, folder, purpose);
  return network;
}

}  // namespace

void WeightOptions::fields(FieldVisitor& v) {
  v.text("denoiser", denoiser, "the frozen denoiser");
  v.text("noise_predictor", noise_predictor, "the noise predictor");
  v.text("teacher", teacher, "the denoiser that a distillation starts from");
  v.text("autoencoder", autoencoder, "the VQ autoencoder");
  v.text("swinir", swinir, "pre-upsampler SwinIR");
  v.text("bsrgan", bsrgan, "pre-upsampler BSRGAN");
  v.text("realesrgan", realesrgan, "pre-upsampler RealESRGAN");
}

void SystemOptions::fields(FieldVisitor& v) {
  v.choice("pre_upsampler", pre_upsampler, {"swinir", "bsrgan", "realesrgan", "bicubic"}, "what makes y0 of the LR picture (Table 7)");
  v.section("schedule", schedule, "shifting sequence eta (Eq. 1)");
  v.section("sampling", sampling, "Algorithm 2");
  v.section("weights", weights, "files, as paths or below the weights folder");
  v.section("denoiser", denoiser, "architecture of the frozen denoiser");
  v.section("noise_predictor", noise_predictor, "architecture of the noise predictor, the denoiser's but for inputs and outputs");
  v.section("autoencoder", autoencoder, "architecture of the VQ autoencoder");
  v.section("swinir", swinir, "architecture of SwinIR");
  v.section("rrdbnet", rrdbnet, "architecture of BSRGAN and RealESRGAN");
}

std::filesystem::path weights_folder(const std::string& option) {
  if (!option.empty()) return option;
  const char* variable = std::getenv("LPNSR_WEIGHTS");
  return variable != nullptr && *variable != '\0' ? variable : "weights";
}

std::filesystem::path find_weights(const std::string& name, const std::filesystem::path& folder, const std::string& purpose) {
  std::error_code unreadable;
  if (name.empty()) throw UsageError(fmt::format("no weights are named for {}", purpose));
  if (std::filesystem::is_regular_file(name, unreadable)) return name;
  const auto below = folder / name;
  if (std::filesystem::is_regular_file(below, unreadable)) return below;
  throw Error(
      fmt::format("{}: the weights of {} are missing: neither that path nor {} is a file{}. Name another folder with --weights-dir or "
                  "$LPNSR_WEIGHTS",
                  name, purpose, below.string(), source_of(name)));
}

void freeze(torch::nn::Module& network, std::optional<c10::ScalarType> precision) {
  network.eval();
  const torch::NoGradGuard no_gradients;
  const auto convert = [precision](const std::string& key, at::Tensor& tensor) {
    tensor.requires_grad_(false);
    if (!tensor.is_floating_point() || key.ends_with("quantize.embedding.weight")) return;
    const auto converted = tensor.to(precision.value_or(tensor.scalar_type()));
    const bool filters = converted.dim() == 4 && converted.device().is_cpu() && kernels::kernels() != nullptr;
    const auto arranged = filters ? converted.contiguous(at::MemoryFormat::ChannelsLast) : converted;
    const bool fits = arranged.scalar_type() == tensor.scalar_type() && tensor.is_non_overlapping_and_dense();
    // In its old place where it can be: weights that moved would leave holes behind.
    tensor.set_data(fits ? tensor.detach().as_strided(arranged.sizes(), arranged.strides()).copy_(arranged) : arranged);
  };
  for (auto& item : network.named_parameters()) convert(item.key(), item.value());
  for (auto& item : network.named_buffers()) convert(item.key(), item.value());
  for (const auto& module : network.modules()) {
    if (auto* prepared = dynamic_cast<Prepared*>(module.get())) prepared->prepare();
  }
  give_back_freed_memory();  // what the weights took before
}

std::vector<NeededWeights> needed_weights(const SystemOptions& options, bool pre_upsample_only) {
  std::vector<NeededWeights> needed;
  if (!pre_upsample_only) {
    needed.push_back({&WeightOptions::denoiser, "the denoiser"});
    if (needs_predictor(options.sampling, make_schedule(options.schedule).steps()))
      needed.push_back({&WeightOptions::noise_predictor, "the noise predictor"});
    needed.push_back({&WeightOptions::autoencoder, "the autoencoder"});
  }
  if (options.pre_upsampler == "swinir") needed.push_back({&WeightOptions::swinir, "the pre-upsampler SwinIR"});
  if (options.pre_upsampler == "bsrgan") needed.push_back({&WeightOptions::bsrgan, "the pre-upsampler BSRGAN"});
  if (options.pre_upsampler == "realesrgan") needed.push_back({&WeightOptions::realesrgan, "the pre-upsampler RealESRGAN"});
  return needed;
}

void load_frozen(torch::nn::Module& module, const std::string& name, const std::filesystem::path& folder, const std::string& purpose,
                 StateDict (*rename)(const StateDict&)) {
  const auto path = find_weights(name, folder, purpose);
  const StateDict weights = read_weights(path, FileAccess::mapped).tensors;
  load_strictly(module, rename == nullptr ? weights : rename(weights), path.string());
  freeze(module);
}

SwinUNet load_denoiser(const SystemOptions& options, const std::filesystem::path& folder) {
  return load<SwinUNet>(options.denoiser, options.weights.denoiser, folder, "the denoiser");
}

NoisePredictor load_noise_predictor(const SystemOptions& options, const std::filesystem::path& folder) {
  return load<NoisePredictor>(options.noise_predictor, options.weights.noise_predictor, folder, "the noise predictor");
}

Autoencoder load_autoencoder(const SystemOptions& options, const std::filesystem::path& folder) {
  return load<Autoencoder>(options.autoencoder, options.weights.autoencoder, folder, "the autoencoder");
}

}  // namespace lpnsr
