#include "eval/vision_transformer.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {
namespace {

constexpr int64_t vit_width = 768, vit_heads = 12, vit_patch = 8, vit_tokens = 28 * 28 + 1;
constexpr size_t vit_depth = 12;
constexpr double vit_epsilon = 1e-6;

}  // namespace

at::Tensor Mlp::operator()(const at::Tensor& x) const { return narrow(at::gelu(widen(x))); }

Mlp take_mlp(WeightReader& reader, const std::string& key, int64_t width, int64_t hidden) {
  return {take_linear(reader, key + "fc1", width, hidden), take_linear(reader, key + "fc2", hidden, width)};
}

VisionTransformer::Block VisionTransformer::take_block(WeightReader& reader, const std::string& key) {
  return {take_layer_norm(reader, key + "norm1", vit_width, vit_epsilon), take_layer_norm(reader, key + "norm2", vit_width, vit_epsilon),
          take_linear(reader, key + "attn.qkv", vit_width, 3 * vit_width), take_linear(reader, key + "attn.proj", vit_width, vit_width),
          take_mlp(reader, key + "mlp.", vit_width, 4 * vit_width)};
}

VisionTransformer::VisionTransformer(WeightReader& reader, const std::string& prefix, size_t used) {
  patches_ = take_convolution(reader, prefix + "patch_embed.proj", {3, vit_width, vit_patch, vit_patch, vit_patch, 0, 0});
  class_token_ = reader.take(prefix + "cls_token", {1, 1, vit_width});
  position_ = reader.take(prefix + "pos_embed", {1, vit_tokens, vit_width});
  for (size_t i = 0; i < vit_depth; ++i) {
    auto block = take_block(reader, fmt::format("{}blocks.{}.", prefix, i));
    if (i < used) blocks_.push_back(std::move(block));
  }
  reader.skip(prefix + "norm.weight", {vit_width});
  reader.skip(prefix + "norm.bias", {vit_width});
  reader.skip(prefix + "head.weight", {1000, vit_width});
  reader.skip(prefix + "head.bias", {1000});
}

std::vector<at::Tensor> VisionTransformer::operator()(const at::Tensor& image, size_t first) const {
  auto x = patches_(image).flatten(2).transpose(1, 2);
  x = at::cat({class_token_.expand({x.size(0), -1, -1}), x}, 1) + position_;
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto& block = blocks_[i];
    const auto qkv = block.query_key_value(block.before_attention(x)).chunk(3, -1);
    x = x + block.out(attend(qkv[0], qkv[1], qkv[2], vit_heads));
    x = x + block.mlp(block.before_mlp(x));
    if (i >= first) outputs.push_back(x);
  }
  return outputs;
}

}  // namespace lpnsr
