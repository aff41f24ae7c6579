#pragma once
// CLIP's RN50 (Radford et al. 2021), as CLIPIQA uses it: the image tower without positional embedding, and the text tower.
#include <array>
#include <map>
#include <string>
#include <vector>

#include "eval/layers.h"

namespace lpnsr {

class ClipImageTower {
 public:
  explicit ClipImageTower(WeightReader& reader);
  // Normalised [N,3,H,W], 32 pixels a side or more -> [N,1024].
  at::Tensor operator()(const at::Tensor& image, std::map<std::string, at::Tensor>* stages = nullptr) const;

 private:
  // The stride is an average pool before the last convolution.
  struct Unit {
    Convolution reduce, filter, expand, project;
    int64_t stride = 1;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  std::array<Convolution, 3> stem_;
  std::array<std::vector<Unit>, 4> stages_;
  Linear query_, key_, value_, out_;
};

class ClipTextTower {
 public:
  explicit ClipTextTower(WeightReader& reader);
  // int64 [N,77], ended by the largest token -> [N,1024].
  at::Tensor operator()(const at::Tensor& tokens) const;

 private:
  struct Block {
    LayerNorm before_attention, before_mlp;
    MultiheadAttention attention;
    Linear widen, narrow;
  };
  at::Tensor token_embedding_, position_embedding_, projection_;
  std::vector<Block> blocks_;
  LayerNorm last_norm_;
};

}  // namespace lpnsr
