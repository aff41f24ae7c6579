#pragma once
// The layers of the metrics' networks: weights taken from published files by name, applied without autograd or state.
#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/weight_reader.h"

namespace lpnsr {

struct ConvolutionShape {
  int64_t in = 0, out = 0, height = 1, width = 1, stride = 1, pad_y = 0, pad_x = 0;
};
// A square kernel that keeps the size at stride 1.
ConvolutionShape square_kernel(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1);

struct Convolution {
  at::Tensor weight, bias;  // the bias may be undefined
  int64_t stride = 1, pad_y = 0, pad_x = 0;
  at::Tensor operator()(const at::Tensor& x) const;  // [N,C,H,W]
};
Convolution take_convolution(WeightReader& reader, const std::string& key, const ConvolutionShape& shape, bool bias = true);
// Without a bias of its own; the BatchNorm that follows it is folded into it.
Convolution take_normalised_convolution(WeightReader& reader, const std::string& key, const std::string& norm_key,
                                        const ConvolutionShape& shape, double epsilon = 1e-5);

struct Linear {
  at::Tensor weight, bias;
  at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
};
Linear take_linear(WeightReader& reader, const std::string& key, int64_t in, int64_t out);

struct LayerNorm {
  at::Tensor weight, bias;
  double epsilon = 1e-5;
  at::Tensor operator()(const at::Tensor& x) const;
};
LayerNorm take_layer_norm(WeightReader& reader, const std::string& key, int64_t width, double epsilon = 1e-5);

// softmax(q kᵀ / sqrt(width)) v for q [B,Lq,C], k and v [B,Lk,C] split into heads.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads, bool causal = false);

// torch.nn.MultiheadAttention with one in_proj for query, key and value; batches first.
struct MultiheadAttention {
  Linear in, out;
  int64_t heads = 1;
  at::Tensor operator()(const at::Tensor& query, const at::Tensor& memory, bool causal = false) const;
};
MultiheadAttention take_attention(WeightReader& reader, const std::string& key, int64_t width, int64_t heads);

// (image - mean) / deviation per channel, with a batch dimension: [3,H,W] or [N,3,H,W] -> [N,3,H,W] float32 on `device`, channels last.
struct Normalisation {
  std::vector<double> mean, deviation;
};
Normalisation imagenet_normalisation();
at::Tensor normalised_image(const at::Tensor& image, const Normalisation& normalisation, c10::Device device);

// Every file's entries in one dictionary, and their names for messages.
struct MergedWeights {
  StateDict entries;
  std::string origin;
};
MergedWeights merged_weights(const std::vector<std::filesystem::path>& files);

}  // namespace lpnsr
