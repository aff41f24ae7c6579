#pragma once
// DISTS (Ding et al. 2020): structure and texture of VGG16's features with L2 pooling. Lower is better. Gradients flow to both pictures.
#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "core/weight_reader.h"

namespace lpnsr {

class Dists {
 public:
  // torchvision's vgg16-397923af.pth (features.N.*; classifier.* ignored) and DISTS_weights-f5e65c96.pth (alpha, beta), or one file with
  // the whole published module. Throws DataError where they do not fit.
  explicit Dists(const std::vector<std::filesystem::path>& files, c10::Device device = c10::kCPU);
  // RGB [N,3,H,W] in [0,1] -> [N]. Throws UsageError for less than 16 pixels a side.
  at::Tensor operator()(const at::Tensor& image, const at::Tensor& reference) const;
  std::vector<at::Tensor> features(const at::Tensor& image) const;  // the picture and the five maps
  void to(at::ScalarType type);

 private:
  std::vector<at::Tensor> weights_, biases_;  // of VGG16's convolutions in order
  at::Tensor alpha_, beta_;                   // [1475]: of each channel of the six stages, divided by the sum of all
};

// The backbone and the weights of the channels, by their published names.
std::vector<std::string> dists_files();

}  // namespace lpnsr
