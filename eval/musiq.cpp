#include "eval/musiq.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {
namespace {

constexpr int64_t musiq_width = 384, musiq_heads = 6, musiq_mlp = 1152, musiq_depth = 14;
constexpr double masked_score = -1000.0;

// Weight standardisation: mean 0 and unbiased deviation 1 for each output, once instead of at each call.
Convolution take_standardised(WeightReader& reader, const std::string& key, const ConvolutionShape& shape) {
  auto layer = take_convolution(reader, key, shape, false);
  const auto weight = layer.weight - layer.weight.mean({1, 2, 3}, true);
  layer.weight = (weight / (weight.std({1, 2, 3}, true, true) + 1e-5)).contiguous(at::MemoryFormat::ChannelsLast);
  return layer;
}

at::Tensor heads_of(const at::Tensor& x) { return x.view({x.size(0), x.size(1), musiq_heads, -1}).transpose(1, 2); }

// Pairs with a padding row score -1000, not minus infinity: a padding row then averages over all.
at::Tensor attend_masked(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& masked) {
  const double scale = 1 / std::sqrt(static_cast<double>(musiq_width / musiq_heads));
  const auto scores = (at::matmul(heads_of(q) * scale, heads_of(k).transpose(-2, -1))).masked_fill_(masked, masked_score);
  return at::matmul(scores.softmax(-1), heads_of(v)).transpose(1, 2).reshape(q.sizes());
}

}  // namespace

// LibTorch's channels-last kernel is slow where a group has few channels: 70 ms for 449 maps of 64x16x16, 1.3 ms of them contiguous.
at::Tensor Musiq::GroupNorm::operator()(const at::Tensor& x) const {
  constexpr int64_t groups = 32;
  return at::group_norm(weight.size(0) < 8 * groups ? x.contiguous() : x, groups, weight, bias, epsilon);
}

Musiq::Musiq(const std::vector<std::filesystem::path>& files, c10::Device device) : device_(device) {
  auto merged = merged_weights(files);
  WeightReader reader(std::move(merged.entries), merged.origin, device);
  const auto norm = [&](const std::string& key, int64_t channels, double epsilon) {
    return GroupNorm{reader.take(key + ".weight", {channels}), reader.take(key + ".bias", {channels}), epsilon};
  };
  root_ = take_standardised(reader, "conv_root", {3, 64, 7, 7, 2, 0, 0});
  root_norm_ = norm("gn_root", 64, 1e-6);
  conv1_ = take_standardised(reader, "block1.conv1", square_kernel(64, 64, 1));
  norm1_ = norm("block1.gn1", 64, 1e-4);
  conv2_ = take_standardised(reader, "block1.conv2", square_kernel(64, 64, 3));
  norm2_ = norm("block1.gn2", 64, 1e-4);
  conv3_ = take_standardised(reader, "block1.conv3", square_kernel(64, 256, 1));
  norm3_ = norm("block1.gn3", 256, 1e-4);
  projection_ = take_standardised(reader, "block1.conv_proj", square_kernel(64, 256, 1));
  projection_norm_ = norm("block1.gn_proj", 256, 1e-4);
  embedding_ = take_linear(reader, "embedding", 256 * 8 * 8, musiq_width);
  const std::string encoder = "transformer_encoder.";
  class_token_ = reader.take(encoder + "cls", {1, 1, musiq_width});
  position_embedding_ = reader.take(encoder + "posembed_input.position_emb", {1, 100, musiq_width})[0];
  scale_embedding_ = reader.take(encoder + "scaleembed_input.scale_emb", {3, musiq_width});
  for (int64_t i = 0; i < musiq_depth; ++i) {
    const std::string key = fmt::format("{}transformer.encoderblock_{}.", encoder, i);
    Block block;
    block.before_attention = take_layer_norm(reader, key + "norm1", musiq_width, 1e-6);
    const auto q = take_linear(reader, key + "attention.query", musiq_width, musiq_width);
    const auto k = take_linear(reader, key + "attention.key", musiq_width, musiq_width);
    const auto v = take_linear(reader, key + "attention.value", musiq_width, musiq_width);
    block.query_key_value = {at::cat({q.weight, k.weight, v.weight}), at::cat({q.bias, k.bias, v.bias})};
    block.out = take_linear(reader, key + "attention.out", musiq_width, musiq_width);
    block.before_mlp = take_layer_norm(reader, key + "norm2", musiq_width, 1e-6);
    block.widen = take_linear(reader, key + "mlp.fc1", musiq_width, musiq_mlp);
    block.narrow = take_linear(reader, key + "mlp.fc2", musiq_mlp, musiq_width);
    blocks_.push_back(std::move(block));
  }
  last_norm_ = take_layer_norm(reader, encoder + "encoder_norm", musiq_width, 1e-6);
  head_ = take_linear(reader, "head", musiq_width, 1);
  reader.finish();
}

// [P,3,32,32] -> [P,384]
at::Tensor Musiq::embed(const at::Tensor& patches, std::map<std::string, at::Tensor>* stages) const {
  const auto note = [&](const char* name, const at::Tensor& value) {
    if (stages != nullptr) (*stages)[name] = value;
  };
  // TensorFlow's "same" padding has its smaller half first.
  auto x = root_(at::constant_pad_nd(patches, {2, 3, 2, 3}).contiguous(at::MemoryFormat::ChannelsLast));
  note("conv_root", x);
  x = at::max_pool2d(at::constant_pad_nd(root_norm_(x).relu_(), {0, 1, 0, 1}), {3, 3}, {2, 2});
  note("root_pool", x);
  auto y = norm3_(conv3_(norm2_(conv2_(norm1_(conv1_(x)).relu_())).relu_()));
  y = (y + projection_norm_(projection_(x))).relu_();
  note("block1", y);
  const auto tokens = embedding_(y.permute({0, 2, 3, 1}).flatten(1));
  note("embedding", tokens);
  return tokens;
}

at::Tensor Musiq::run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const {
  const auto patches = musiq_patches((image.dim() == 3 ? image.unsqueeze(0) : image).to(device_));
  const int64_t batch = patches.pixels.size(0), count = patches.pixels.size(1);
  auto x = embed(patches.pixels.flatten(0, 1), stages).view({batch, count, musiq_width});
  if (stages != nullptr) (*stages)["embedding"] = x;
  x = x + position_embedding_.index_select(0, patches.position.to(device_)) + scale_embedding_.index_select(0, patches.scale.to(device_));
  x = at::cat({class_token_.expand({batch, -1, -1}), x}, 1);
  const auto valid = at::cat({at::ones({1}, at::kBool), patches.valid}).to(device_);
  const bool any_masked = !patches.valid.all().item<bool>();
  const auto masked = (valid.unsqueeze(1) * valid.unsqueeze(0)).logical_not();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto& block = blocks_[i];
    const auto qkv = block.query_key_value(block.before_attention(x)).chunk(3, -1);
    const auto joined = any_masked ? attend_masked(qkv[0], qkv[1], qkv[2], masked) : attend(qkv[0], qkv[1], qkv[2], musiq_heads);
    x = x + block.out(joined);
    x = x + block.narrow(at::gelu(block.widen(block.before_mlp(x))));
    if (stages != nullptr && i == 0) (*stages)["transformer_encoder.transformer.encoderblock_0"] = x;
  }
  x = last_norm_(x);
  if (stages != nullptr) (*stages)["transformer_encoder"] = x;
  return head_(x.select(1, 0)).flatten();
}

}  // namespace lpnsr
