#pragma once
// The states of a chain as pictures, for researchers.
#include <filesystem>
#include <map>
#include <string>

#include "diffusion/restorer.h"

namespace lpnsr {

// A noise map [C,h,w] as a picture: 0 in the middle of the range and three standard deviations at its ends (Fig. 2).
at::Tensor noise_picture(const at::Tensor& noise);

// Observes one picture's chain. Patches beyond the first are numbered.
class ChainPictures {
 public:
  // Empty folders: not written. `picture`: the beginning of the files' names.
  //   noise_maps: the noise of each step as PICTURE-t4.png …
  //   predictions: what the denoiser takes for x0 at each step, decoded, as PICTURE-t4-x0.png …
  ChainPictures(std::filesystem::path noise_maps, std::filesystem::path predictions, std::string picture, const Restorer& restorer)
      : noise_maps_(std::move(noise_maps)), predictions_(std::move(predictions)), picture_(std::move(picture)), restorer_(&restorer) {}
  bool wanted() const { return !noise_maps_.empty() || !predictions_.empty(); }
  void operator()(const ChainState& state);

 private:
  std::filesystem::path noise_maps_, predictions_;
  std::string picture_;
  const Restorer* restorer_;
  std::map<int64_t, int64_t> patches_;  // by index of the chain
};

}  // namespace lpnsr
