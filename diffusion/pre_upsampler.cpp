// What makes y0 of the LR picture: bicubic interpolation (training, PreSet-A) or a regression network (PreSet-B, Table 7).
#include <fmt/format.h>

#include "core/error.h"
#include "core/resize.h"
#include "diffusion/restorer.h"

namespace lpnsr {
namespace {

template <class Network>
PreUpsampler as_pre_upsampler(Network network, c10::ScalarType precision) {
  freeze(*network, precision);
  return [network](const at::Tensor& image) {
    const torch::NoGradGuard no_grad;
    if (network->parameters().front().device() != image.device()) network.ptr()->to(image.device());
    return network.ptr()->forward(image.to(network->parameters().front().scalar_type())).to(image.scalar_type());
  };
}

void check_scale(const std::string& section, int64_t scale, int64_t wanted) {
  if (scale == wanted) return;
  throw UsageError(
      fmt::format("the pre-upsampler [{}] enlarges {} times, but the autoencoder's latents are {} times smaller than the picture", section,
                  scale, wanted));
}

}  // namespace

PreUpsampler bicubic_pre_upsampler(int64_t scale) {
  return [scale](const at::Tensor& image) { return resize_bicubic_scale(image, scale); };
}

PreUpsampler load_pre_upsampler(const SystemOptions& options, const std::filesystem::path& weights, c10::ScalarType precision) {
  const int64_t scale = options.autoencoder.scale();
  if (options.pre_upsampler == "bicubic") return bicubic_pre_upsampler(scale);
  if (options.pre_upsampler == "swinir") {
    check_scale("swinir", options.swinir.upscale, scale);
    SwinIR network(options.swinir);
    load_frozen(*network, options.weights.swinir, weights, "the pre-upsampler SwinIR");
    return as_pre_upsampler(network, precision);
  }
  const bool bsrgan = options.pre_upsampler == "bsrgan";
  if (!bsrgan && options.pre_upsampler != "realesrgan") {
    throw UsageError(fmt::format("pre_upsampler is '{}'; it must be swinir, bsrgan, realesrgan or bicubic", options.pre_upsampler));
  }
  check_scale("rrdbnet", options.rrdbnet.scale, scale);
  RRDBNet network(options.rrdbnet);
  load_frozen(*network, bsrgan ? options.weights.bsrgan : options.weights.realesrgan, weights,
              bsrgan ? "the pre-upsampler BSRGAN" : "the pre-upsampler RealESRGAN", rename_old_rrdb_keys);
  return as_pre_upsampler(network, precision);
}

}  // namespace lpnsr
