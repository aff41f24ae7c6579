#pragma once
// LPIPS 0.1 (Zhang et al. 2018) on VGG16, AlexNet or SqueezeNet: unit-normalised features, squared differences, linear layers, mean over
// the map, sum over layers.
#include <filesystem>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include "core/state_dict.h"
#include "losses/backbones.h"

namespace lpnsr {

enum class LpipsNetwork { alex, vgg, squeeze };
Backbone backbone_of(LpipsNetwork network);

// State under the published names: scaling_layer.*, net.sliceK.N.*, linK.model.1.weight. The weights are frozen; gradients flow to the
// images.
class LpipsImpl : public torch::nn::Module {
 public:
  explicit LpipsImpl(LpipsNetwork network);
  // Images [N,3,H,W] in [-1,1] -> [N]. Gradients flow to both.
  at::Tensor forward(const at::Tensor& image, const at::Tensor& reference);
  std::vector<at::Tensor> layers(const at::Tensor& image, const at::Tensor& reference);  // the terms of the sum, [N] each
  // [N,1,H,W]: each layer's map enlarged bilinearly to the pictures' size, summed.
  at::Tensor spatial(const at::Tensor& image, const at::Tensor& reference);
  LpipsNetwork network() const { return network_; }

 private:
  std::vector<at::Tensor> layer_maps(const at::Tensor& image, const at::Tensor& reference);
  std::vector<at::Tensor> unit_features(const at::Tensor& image);
  LpipsNetwork network_;
  at::Tensor shift_, scale_;
  BackboneFeatures net_{nullptr};
  std::vector<torch::nn::Conv2d> linear_;
};
TORCH_MODULE(Lpips);

// Files in any number and order: torchvision's backbone (features.N.weight; classifier.* ignored), the published linear layers
// (lin0.model.1.weight …), or one file with the whole published module (net.sliceK.N.*, lin*, lins.*, scaling_layer.*). Throws Error naming
// what is missing and which files go where.
Lpips load_lpips(LpipsNetwork network, const std::vector<std::filesystem::path>& files);
// The backbone, then the linear layers, by their published names; the latter's file may be the whole module, and then stands alone.
std::vector<std::string> lpips_files(LpipsNetwork network);
// Those below a weights folder. Throws Error that lists them where they are not there.
std::vector<std::filesystem::path> find_lpips_files(LpipsNetwork network, const std::filesystem::path& weights);

}  // namespace lpnsr
