#pragma once
// Inception-v3 of the FID: the TensorFlow graph of 2015-12-05 under torchvision's names.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/layers.h"

namespace lpnsr {

class InceptionV3 {
 public:
  // pt_inception-2015-12-05-6726825d.pth. Throws DataError where it does not fit.
  InceptionV3(const std::vector<std::filesystem::path>& files, c10::Device device);
  // [N,3,299,299] in [-1,1] -> [N,2048], the mean over the last map. Leaves "blocks.0" to "blocks.2", the maps after the pools and
  // Mixed_6e.
  at::Tensor operator()(const at::Tensor& image, std::map<std::string, at::Tensor>* stages = nullptr) const;

 private:
  using Layers = std::map<std::string, Convolution>;
  at::Tensor run(const std::string& name, const at::Tensor& x) const;
  at::Tensor chain(const std::string& unit, const std::vector<const char*>& names, const at::Tensor& x) const;
  at::Tensor unit_a(const std::string& unit, const at::Tensor& x) const;
  at::Tensor unit_c(const std::string& unit, const at::Tensor& x) const;
  at::Tensor unit_e(const std::string& unit, const at::Tensor& x, bool max_pool) const;

  c10::Device device_;
  Layers layers_;
};

}  // namespace lpnsr
