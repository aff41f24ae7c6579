#pragma once
// MUSIQ (Ke et al. 2021) trained on KonIQ: a transformer over patches of the picture at three sizes. Higher is better.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/layers.h"

namespace lpnsr {

// The patches of a picture, a row each: those of its copy of longer side 224, of the one of 384, of itself. The first two are padded with
// rows of zeros to 49 and 144.
struct MusiqPatches {
  at::Tensor pixels;    // [N,L,3,32,32] in [-1,1], zero where padded
  at::Tensor position;  // int64 [L]: place on the 10x10 grid
  at::Tensor scale;     // int64 [L]: 0, 1, 2
  at::Tensor valid;     // bool [L]
};
MusiqPatches musiq_patches(const at::Tensor& image);  // RGB [N,3,H,W] in [0,1]

class Musiq {
 public:
  // musiq_koniq_ckpt-e95806b9.pth. Throws DataError where it does not fit.
  Musiq(const std::vector<std::filesystem::path>& files, c10::Device device);
  at::Tensor operator()(const at::Tensor& image) const { return run(image, nullptr); }  // [3,H,W] or [N,3,H,W] in [0,1] -> [N]
  // The same, leaving stages under the published module names.
  at::Tensor run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const;

 private:
  struct GroupNorm {
    at::Tensor weight, bias;
    double epsilon = 1e-4;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Block {
    LayerNorm before_attention, before_mlp;
    Linear query_key_value, out, widen, narrow;
  };
  at::Tensor embed(const at::Tensor& patches, std::map<std::string, at::Tensor>* stages) const;

  c10::Device device_;
  Convolution root_, conv1_, conv2_, conv3_, projection_;
  GroupNorm root_norm_, norm1_, norm2_, norm3_, projection_norm_;
  Linear embedding_, head_;
  at::Tensor class_token_, position_embedding_, scale_embedding_;
  std::vector<Block> blocks_;
  LayerNorm last_norm_;
};

}  // namespace lpnsr
