#pragma once
// ResNet-50 (He et al. 2016) under torchvision's and timm's names, cut after each stage.
#include <array>

#include "eval/layers.h"

namespace lpnsr {

struct Bottleneck {
  Convolution reduce, filter, expand, project;  // `project` without weight: the identity
  at::Tensor operator()(const at::Tensor& x) const;
};

class ResNet50 {
 public:
  ResNet50(WeightReader& reader, const std::string& prefix);
  // Normalised [N,3,H,W] -> maps of 64, 256, 512, 1024 and 2048 channels at 1/2, 1/4, 1/8, 1/16 and 1/32.
  std::vector<at::Tensor> operator()(const at::Tensor& image) const;

 private:
  Convolution stem_;
  std::array<std::vector<Bottleneck>, 4> stages_;
};

}  // namespace lpnsr
