#pragma once
// CLIPIQA (Wang et al. 2023) as pyiqa computes it: five pairs of opposite prompts. Higher is better, 0 to 1.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/clip.h"

namespace lpnsr {

// The ten prompts in CLIP's byte-pair tokens: int64 [10,77], a good one and a bad one in turn.
at::Tensor clipiqa_prompts();

class ClipIqa {
 public:
  // OpenAI's RN50.pt. Throws DataError where it does not fit.
  ClipIqa(const std::vector<std::filesystem::path>& files, c10::Device device);
  // RGB [3,H,W] or [N,3,H,W] in [0,1] at its size -> [N]. Throws UsageError for less than 32 pixels a side.
  at::Tensor operator()(const at::Tensor& image) const { return run(image, nullptr); }
  // The same, leaving "logits", "pair_probabilities" and the image tower's stages.
  at::Tensor run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const;
  const at::Tensor& text_features() const { return text_features_; }  // [10,1024]

 private:
  explicit ClipIqa(WeightReader reader, c10::Device device);
  c10::Device device_;
  ClipImageTower tower_;
  at::Tensor text_features_, logit_scale_;
};

}  // namespace lpnsr
