#pragma once
// Image-quality metrics by name, each with the protocol that its numbers follow.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "eval/psnr_ssim.h"

namespace lpnsr {

struct Metric {
  std::string name;      // "psnr"
  std::string label;     // "PSNR"
  std::string protocol;  // "lpnsr, Y, crop 4"
  bool needs_reference = true;
  bool higher_is_better = true;
  int decimals = 4;
  std::function<double(const at::Tensor& image, const at::Tensor& reference)> score = {};  // RGB [3,H,W] in [0,1]
};

struct MetricOptions {
  PsnrSsimOptions psnr_ssim;
  std::filesystem::path weights = "weights";
  c10::Device device = c10::kCPU;
};

const std::vector<std::string>& metric_names();  // psnr, ssim, lpips.alex, lpips.vgg
// `lpips` stands for lpips.alex, the papers' choice. Throws UsageError for an unknown name and Error where the weights are missing.
Metric make_metric(const std::string& name, const MetricOptions& options);
std::vector<Metric> make_metrics(const std::vector<std::string>& names, const MetricOptions& options);

// "psnr,ssim" -> its parts, without blanks. Throws UsageError where nothing or a part is empty.
std::vector<std::string> split_names(const std::string& list);

}  // namespace lpnsr
