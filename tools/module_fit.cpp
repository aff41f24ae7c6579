#include "tools/module_fit.h"

#include <functional>
#include <memory>

#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"
#include "losses/discriminator.h"
#include "losses/lpips.h"

namespace lpnsr {
namespace {

struct Candidate {
  std::string name;
  std::string telltale;  // a key that no unrelated network has: spares the building of those that cannot fit
  std::function<std::shared_ptr<torch::nn::Module>()> build;
};

const std::vector<Candidate>& candidates() {
  static const std::vector<Candidate> all = {
      {"denoiser", "input_blocks.0.0.weight", [] { return SwinUNet(SwinUNetOptions{}).ptr(); }},
      {"noise_predictor", "input_blocks.0.0.weight", [] { return NoisePredictor(SwinUNetOptions{}).ptr(); }},
      {"autoencoder", "encoder.conv_in.weight", [] { return Autoencoder(AutoencoderOptions{}).ptr(); }},
      {"swinir", "patch_embed.norm.weight", [] { return SwinIR(SwinIROptions{}).ptr(); }},
      {"rrdbnet", "body.0.rdb1.conv1.weight", [] { return RRDBNet(RRDBNetOptions{}).ptr(); }},
      {"discriminator", "model.0.weight_orig", [] { return Discriminator(DiscriminatorOptions{}).ptr(); }},
      {"lpips.alex", "lin0.model.1.weight", [] { return Lpips(LpipsNetwork::alex).ptr(); }},
      {"lpips.vgg", "lin0.model.1.weight", [] { return Lpips(LpipsNetwork::vgg).ptr(); }}};
  return all;
}

size_t count(const Misfits& faults) { return faults.missing.size() + faults.extra.size() + faults.shapes.size() + faults.types.size(); }

}  // namespace

std::vector<std::string> buildable_modules() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) names.push_back(candidate.name);
  return names;
}

std::vector<ModuleFit> fits_of(const StateDict& weights) {
  const StateDict renamed = weights.contains("RRDB_trunk.0.RDB1.conv1.weight") ? rename_old_rrdb_keys(weights) : weights;
  std::vector<ModuleFit> fits;
  for (const Candidate& candidate : candidates()) {
    if (renamed.contains(candidate.telltale)) fits.push_back({candidate.name, misfits(*candidate.build(), renamed)});
  }
  std::stable_sort(fits.begin(), fits.end(), [](const ModuleFit& a, const ModuleFit& b) { return count(a.faults) < count(b.faults); });
  return fits;
}

}  // namespace lpnsr
