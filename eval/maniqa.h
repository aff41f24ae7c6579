#pragma once
// MANIQA (Yang et al. 2022) trained on KonIQ: ViT-B/8 with channel attention and Swin stages, on 20 crops. Higher is better.
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "eval/batches.h"
#include "eval/layers.h"
#include "eval/vision_transformer.h"

namespace lpnsr {

// Tops and lefts of the 224x224 crops, as pyiqa takes them: the first `count` of a grid, row by row, which
// is 5x5 for 20. The shorter side is above 224.
std::vector<std::pair<int64_t, int64_t>> maniqa_crops(int64_t height, int64_t width, int64_t count = 20);
// [3,H,W] as it is, or enlarged where its shorter side is at most 224.
at::Tensor maniqa_sized(const at::Tensor& image);

struct ManiqaPatches {
  at::Tensor score, weight;  // [crops, 784, 1]
};

class Maniqa {
 public:
  // ckpt_koniq10k.pt. Throws DataError where it does not fit.
  Maniqa(const std::vector<std::filesystem::path>& files, c10::Device device);
  // RGB [3,H,W] in [0,1], of any sizes. The weighted mean over the patches of all crops of each, float64 [N]; `size`: of the crops that go
  // through the network together, whichever picture they are of.
  at::Tensor operator()(const std::vector<at::Tensor>& images, int64_t crops, const BatchSize& size) const;
  // Of crops [N,3,224,224] in [-1,1]; leaves stages under the published module names.
  ManiqaPatches patches(const at::Tensor& crops, std::map<std::string, at::Tensor>* stages = nullptr) const;

 private:
  struct ChannelAttention {
    Linear query, key, value;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct WindowBlock {
    LayerNorm before_attention, before_mlp;
    Linear query_key_value, out;
    Mlp mlp;
    at::Tensor bias;  // [windows or 1, heads, 16, 16]: relative positions, and the mask where the windows are shifted
    int64_t heads = 4, shift = 0;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct SwinLayer {
    std::array<WindowBlock, 2> blocks;
    Convolution filter;
  };
  using SwinStage = std::array<SwinLayer, 2>;
  static std::array<ChannelAttention, 2> take_channel_attention(WeightReader& reader, const std::string& key);
  SwinStage take_swin(WeightReader& reader, const std::string& key, int64_t width) const;
  static at::Tensor run_swin(const SwinStage& stage, const at::Tensor& x);
  explicit Maniqa(WeightReader reader, c10::Device device);

  c10::Device device_;
  VisionTransformer transformer_;
  std::array<ChannelAttention, 2> channels1_, channels2_;
  Convolution reduce1_, reduce2_;
  SwinStage swin1_, swin2_;
  std::array<Linear, 2> score_, weight_;
};

}  // namespace lpnsr
