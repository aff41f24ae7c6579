#include "eval/layers.h"

#include <ATen/Functions.h>
#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/convolution.h"

namespace lpnsr {
namespace {

// [B,L,C] -> [B,heads,L,C/heads]
at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

}  // namespace

ConvolutionShape square_kernel(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return {in, out, kernel, kernel, stride, kernel / 2, kernel / 2};
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  if (pad_y == pad_x) return convolve(x, weight, bias, stride, pad_x);
  return at::conv2d(x, weight, bias, at::IntArrayRef{stride, stride}, at::IntArrayRef{pad_y, pad_x});
}

Convolution take_convolution(WeightReader& reader, const std::string& key, const ConvolutionShape& shape, bool bias) {
  Convolution layer{
      reader.take(key + ".weight", {shape.out, shape.in, shape.height, shape.width}), {}, shape.stride, shape.pad_y, shape.pad_x};
  layer.weight = layer.weight.contiguous(at::MemoryFormat::ChannelsLast);
  if (bias) layer.bias = reader.take(key + ".bias", {shape.out});
  return layer;
}

Convolution take_normalised_convolution(WeightReader& reader, const std::string& key, const std::string& norm_key,
                                        const ConvolutionShape& shape, double epsilon) {
  auto layer = take_convolution(reader, key, shape, false);
  const auto of_norm = [&](const char* part) { return reader.take(norm_key + part, {shape.out}).to(at::kDouble); };
  const auto gain = of_norm(".weight") / (of_norm(".running_var") + epsilon).sqrt();
  const auto shift = of_norm(".bias") - of_norm(".running_mean") * gain;
  layer.weight = (layer.weight.to(at::kDouble) * gain.view({-1, 1, 1, 1})).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  layer.bias = shift.to(at::kFloat);
  return layer;
}

// x [..,in] by weight [out,in]. On a CPU a 1x1 convolution in channels-last: oneDNN's kernels, where LibTorch's matrix product takes MKL's,
// which are slow on other processors than Intel's.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t in = weight.size(1), rows = x.numel() / in;
  if (!x.is_cpu() || rows < 16) return at::linear(x, weight, bias);
  const auto as_image = x.reshape({1, rows, 1, in}).permute({0, 3, 1, 2});
  const auto result = at::conv2d(as_image, weight.view({weight.size(0), in, 1, 1}), bias);
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return result.permute({0, 2, 3, 1}).reshape(shape);
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return linear(x, weight, bias); }

Linear take_linear(WeightReader& reader, const std::string& key, int64_t in, int64_t out) {
  return {reader.take(key + ".weight", {out, in}), reader.take(key + ".bias", {out})};
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const { return at::layer_norm(x, {weight.size(0)}, weight, bias, epsilon); }

LayerNorm take_layer_norm(WeightReader& reader, const std::string& key, int64_t width, double epsilon) {
  return {reader.take(key + ".weight", {width}), reader.take(key + ".bias", {width}), epsilon};
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads, bool causal) {
  const auto joined =
      at::scaled_dot_product_attention(split_heads(q, heads), split_heads(k, heads), split_heads(v, heads), {}, 0.0, causal);
  return joined.transpose(1, 2).reshape({q.size(0), q.size(1), q.size(2)});
}

at::Tensor MultiheadAttention::operator()(const at::Tensor& query, const at::Tensor& memory, bool causal) const {
  const int64_t width = out.weight.size(0);
  if (query.is_same(memory)) {
    const auto parts = in(query).chunk(3, -1);
    return out(attend(parts[0], parts[1], parts[2], heads, causal));
  }
  const auto q = linear(query, in.weight.narrow(0, 0, width), in.bias.narrow(0, 0, width));
  const auto kv = linear(memory, in.weight.narrow(0, width, 2 * width), in.bias.narrow(0, width, 2 * width)).chunk(2, -1);
  return out(attend(q, kv[0], kv[1], heads, causal));
}

MultiheadAttention take_attention(WeightReader& reader, const std::string& key, int64_t width, int64_t heads) {
  return {{reader.take(key + ".in_proj_weight", {3 * width, width}), reader.take(key + ".in_proj_bias", {3 * width})},
          take_linear(reader, key + ".out_proj", width, width),
          heads};
}

Normalisation imagenet_normalisation() { return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}}; }

at::Tensor normalised_image(const at::Tensor& image, const Normalisation& normalisation, c10::Device device) {
  const auto row = [&](const std::vector<double>& values) {
    return at::tensor(at::ArrayRef<double>(values)).to(device, at::kFloat).view({1, 3, 1, 1});
  };
  const auto batch = image.dim() == 3 ? image.unsqueeze(0) : image;
  return ((batch.to(device, at::kFloat) - row(normalisation.mean)) / row(normalisation.deviation))
      .contiguous(at::MemoryFormat::ChannelsLast);
}

MergedWeights merged_weights(const std::vector<std::filesystem::path>& files) {
  MergedWeights merged;
  std::vector<std::string> names;
  for (const auto& file : files) {
    for (const auto& [key, tensor] : read_weights(file).tensors) merged.entries.add(key, tensor);
    names.push_back(file.string());
  }
  merged.origin = fmt::format("{}", fmt::join(names, " + "));
  return merged;
}

}  // namespace lpnsr
