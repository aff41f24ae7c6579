#pragma once
// The RealESRGAN degradation with the names of the published configurations; defaults are the published LPNSR parameters.
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace lpnsr {

struct DegradationStageOptions {
  int64_t blur_kernel_size = 21;
  std::vector<double> kernel_prob = {0.45, 0.25, 0.12, 0.03, 0.12, 0.03};  // iso, aniso, generalised iso, aniso, plateau iso, aniso
  double sinc_prob = 0.1;
  std::vector<double> blur_sigma = {0.2, 3.0};
  std::vector<double> betag_range = {0.5, 4.0};
  std::vector<double> betap_range = {1.0, 2.0};
  std::vector<double> resize_prob = {0.2, 0.7, 0.1};  // up, down, keep
  std::vector<double> resize_range = {0.15, 1.5};
  double gaussian_noise_prob = 0.5;
  std::vector<double> noise_range = {1.0, 30.0};
  std::vector<double> poisson_scale_range = {0.05, 3.0};
  double gray_noise_prob = 0.4;
  std::vector<double> jpeg_range = {30.0, 95.0};
  double blur_prob = 1.0;
  void fields(FieldVisitor& v);
};

struct DegradationOptions {
  std::string flavour = "resshift";     // resshift | lpnsr | realesrgan
  std::string jpeg = "differentiable";  // differentiable | codec | none
  std::string draws = "sample";         // sample | batch: how often sizes, modes and kinds of operation are drawn
  int64_t scale = 4;
  DegradationStageOptions first;
  DegradationStageOptions second;  // defaults set by the constructor: 15, 0.2-1.5, .3 .4 .3 in 0.3-1.2, 1-25, 0.05-2.5, blur_prob 0.8
  double second_order_prob = 0.5;
  double final_sinc_prob = 0.8;
  bool use_sharp = false;  // USM of the target
  DegradationOptions();
  void fields(FieldVisitor& v);  // throws UsageError for impossible combinations
};

}  // namespace lpnsr
