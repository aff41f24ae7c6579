#pragma once
// A page that shows one photograph after each stage of its degradation, and histograms of all that was drawn.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "degradation/parameters.h"

namespace lpnsr {

class DegradationReport {
 public:
  void add(const DegradationParameters& parameters);  // what was drawn for one picture
  // `hr` [3,H,W] is the photograph that is shown, degraded with `parameters`.
  void write(const std::filesystem::path& path, const std::string& name, const at::Tensor& hr,
             const DegradationParameters& parameters) const;

 private:
  void add_kernel(const std::string& stage, const KernelParameters& kernel);
  void add_stage(const std::string& name, const StageParameters& stage);
  int64_t pictures_ = 0;
  std::map<std::string, std::vector<double>> numbers_;
  std::map<std::string, std::map<std::string, double>> kinds_;
};

}  // namespace lpnsr
