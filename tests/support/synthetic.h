#pragma once
// The rule of the reference data: the same tensors and weights in any language (goldens/synthetic.md).
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace lpnsr::testing {

inline const std::string shared_salt = "shared";  // of the cases of losses and LPIPS

std::vector<double> synthetic_value(const std::string& salt, const std::string& name, int64_t count);
at::Tensor synthetic_tensor(const std::string& salt, const std::string& name, at::IntArrayRef shape, double scale = 1.0,
                            double shift = 0.0);
at::Tensor synthetic_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape);
// Overwrites every floating-point entry of the state_dict but those whose key contains one of `skip`.
void fill_synthetic(torch::nn::Module& module, const std::string& salt, const std::vector<std::string>& skip = {"attn_mask"});

}  // namespace lpnsr::testing
