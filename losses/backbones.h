#pragma once
// Convolutional parts of torchvision's classifiers, cut where perceptual metrics look at them.
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "core/convolution.h"
#include "core/state_dict.h"

namespace lpnsr {

enum class Backbone { alexnet, vgg16, squeezenet };

struct BackboneLayer {
  // fire: SqueezeNet's module, a 1x1 convolution to `squeezed` channels, then 1x1 and 3x3 ones to half of out_channels each, with ReLUs.
  enum class Kind { convolution, relu, max_pool, fire } kind = Kind::relu;
  int64_t in_channels = 0, out_channels = 0, kernel = 0, stride = 1, padding = 0;
  int64_t squeezed = 0;
  bool ceil = false;  // a max pool rounds its output's size up
};

// Layer N of the list is torchvision's features.N; `taps` are the layers whose output is a feature map.
struct BackboneDescription {
  std::vector<BackboneLayer> layers;
  std::vector<size_t> taps;
  std::vector<int64_t> channels;        // of each tap
  int64_t smallest_side = 1;            // of the picture
  size_t slice_of(size_t layer) const;  // number of the tap that closes the slice holding `layer`
};
const BackboneDescription& describe(Backbone backbone);

// Parameters are named sliceK.N.weight and sliceK.N.bias as the published LPIPS has them (K from 1), those of fire modules
// sliceK.N.squeeze.weight and so on.
class BackboneFeaturesImpl : public torch::nn::Module {
 public:
  explicit BackboneFeaturesImpl(Backbone backbone);
  std::vector<at::Tensor> forward(const at::Tensor& image);  // normalised [N,3,H,W] -> the tapped maps

 private:
  Backbone backbone_;
  std::vector<Conv2d> convolutions_;  // in the order of their layers; a fire module has three
};
TORCH_MODULE(BackboneFeatures);

// torchvision's features.N.* under this module's names; classifier.* and what is not of the feature layers is left out.
StateDict backbone_from_torchvision(Backbone backbone, const StateDict& weights);

}  // namespace lpnsr
