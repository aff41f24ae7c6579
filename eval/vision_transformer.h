#pragma once
// ViT-B/8 (Dosovitskiy et al. 2021) under timm's names, for pictures of 224x224.
#include <string>
#include <vector>

#include "eval/layers.h"

namespace lpnsr {

struct Mlp {
  Linear widen, narrow;
  at::Tensor operator()(const at::Tensor& x) const;
};
Mlp take_mlp(WeightReader& reader, const std::string& key, int64_t width, int64_t hidden);

class VisionTransformer {
 public:
  // `used` blocks are kept; the rest, the last norm and the head are only checked.
  VisionTransformer(WeightReader& reader, const std::string& prefix, size_t used);
  // [N,3,224,224] -> outputs of the used blocks from `first` on, [N,785,768] each; token 0 is the class.
  std::vector<at::Tensor> operator()(const at::Tensor& image, size_t first) const;

 private:
  struct Block {
    LayerNorm before_attention, before_mlp;
    Linear query_key_value, out;
    Mlp mlp;
  };
  static Block take_block(WeightReader& reader, const std::string& key);
  Convolution patches_;
  at::Tensor class_token_, position_;
  std::vector<Block> blocks_;
};

}  // namespace lpnsr
