#include "tools/chain_pictures.h"

#include <fmt/format.h>

#include "core/files.h"
#include "core/image.h"

namespace lpnsr {
namespace {

void write_below(const std::filesystem::path& folder, const std::string& name, const at::Tensor& rgb) {
  make_output_folder((folder / name).parent_path());
  write_rgb(folder / name, rgb);
}

}  // namespace

at::Tensor noise_picture(const at::Tensor& noise) { return (noise / 6 + 0.5).clamp(0, 1); }

void ChainPictures::operator()(const ChainState& state) {
  for (int64_t n = 0; n < state.noise.size(0); ++n) {
    const int64_t patch = patches_[state.index]++;
    const std::string number = patch == 0 ? "" : fmt::format("-patch{}", patch + 1);
    if (!noise_maps_.empty() && state.index > 0) {
      write_below(noise_maps_, fmt::format("{}-t{}{}.png", picture_, state.index + 1, number), noise_picture(state.noise[n].cpu()));
    }
    if (!predictions_.empty()) {
      write_below(predictions_, fmt::format("{}-t{}-x0{}.png", picture_, state.index + 1, number),
                  restorer_->decode(state.pred_x0.narrow(0, n, 1))[0].cpu());
    }
  }
}

}  // namespace lpnsr
