#include "eval/clip.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {
namespace {

constexpr int64_t image_width = 2048, image_heads = 32, joint_width = 1024;
constexpr int64_t text_width = 512, text_heads = 8, text_depth = 12, text_length = 77, vocabulary = 49408;

}  // namespace

at::Tensor ClipImageTower::Unit::operator()(const at::Tensor& x) const {
  auto y = filter(reduce(x).relu_()).relu_();
  auto shortcut = x;
  if (stride > 1) {
    y = at::avg_pool2d(y, {stride, stride});
    shortcut = at::avg_pool2d(x, {stride, stride});
  }
  y = expand(y);
  y += project.weight.defined() ? project(shortcut) : shortcut;
  return y.relu_();
}

ClipImageTower::ClipImageTower(WeightReader& reader) {
  const auto take = [&](const std::string& prefix, int i, const ConvolutionShape& shape) {
    return take_normalised_convolution(reader, fmt::format("{}conv{}", prefix, i), fmt::format("{}bn{}", prefix, i), shape);
  };
  stem_ = {take("visual.", 1, square_kernel(3, 32, 3, 2)), take("visual.", 2, square_kernel(32, 32, 3)),
           take("visual.", 3, square_kernel(32, 64, 3))};
  constexpr std::array<int64_t, 4> depths = {3, 4, 6, 3};
  int64_t channels = 64;
  for (size_t stage = 0; stage < depths.size(); ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int64_t b = 0; b < depths[stage]; ++b) {
      const std::string block = fmt::format("visual.layer{}.{}.", stage + 1, b);
      auto& unit = stages_[stage].emplace_back();
      unit.stride = b == 0 && stage > 0 ? 2 : 1;
      unit.reduce = take(block, 1, square_kernel(channels, width, 1));
      unit.filter = take(block, 2, square_kernel(width, width, 3));
      unit.expand = take(block, 3, square_kernel(width, 4 * width, 1));
      if (b == 0) {
        unit.project =
            take_normalised_convolution(reader, block + "downsample.0", block + "downsample.1", square_kernel(channels, 4 * width, 1));
      }
      channels = 4 * width;
    }
  }
  const std::string pool = "visual.attnpool.";
  // CLIPIQA pools without it, so that pictures may have any size.
  reader.skip(pool + "positional_embedding", {50, image_width});
  query_ = take_linear(reader, pool + "q_proj", image_width, image_width);
  key_ = take_linear(reader, pool + "k_proj", image_width, image_width);
  value_ = take_linear(reader, pool + "v_proj", image_width, image_width);
  out_ = take_linear(reader, pool + "c_proj", image_width, joint_width);
}

at::Tensor ClipImageTower::operator()(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const {
  const auto note = [&](const std::string& name, const at::Tensor& value) {
    if (stages != nullptr) (*stages)["visual." + name] = value;
  };
  auto x = image;
  for (const auto& layer : stem_) x = layer(x).relu_();
  x = at::avg_pool2d(x, {2, 2});
  note("avgpool", x);
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    for (const auto& unit : stages_[stage]) x = unit(x);
    note(fmt::format("layer{}", stage + 1), x);
  }
  const auto places = x.flatten(2).transpose(1, 2);
  const auto mean = places.mean(1, true);
  const auto tokens = at::cat({mean, places}, 1);
  const auto pooled = out_(attend(query_(mean), key_(tokens), value_(tokens), image_heads)).squeeze(1);
  note("attnpool", pooled);
  return pooled;
}

ClipTextTower::ClipTextTower(WeightReader& reader) {
  token_embedding_ = reader.take("token_embedding.weight", {vocabulary, text_width});
  position_embedding_ = reader.take("positional_embedding", {text_length, text_width});
  projection_ = reader.take("text_projection", {text_width, joint_width});
  for (int64_t i = 0; i < text_depth; ++i) {
    const std::string key = fmt::format("transformer.resblocks.{}.", i);
    Block block;
    block.before_attention = take_layer_norm(reader, key + "ln_1", text_width);
    block.attention = take_attention(reader, key + "attn", text_width, text_heads);
    block.before_mlp = take_layer_norm(reader, key + "ln_2", text_width);
    block.widen = take_linear(reader, key + "mlp.c_fc", text_width, 4 * text_width);
    block.narrow = take_linear(reader, key + "mlp.c_proj", 4 * text_width, text_width);
    blocks_.push_back(std::move(block));
  }
  last_norm_ = take_layer_norm(reader, "ln_final", text_width);
}

at::Tensor ClipTextTower::operator()(const at::Tensor& tokens) const {
  auto x = at::embedding(token_embedding_, tokens.to(token_embedding_.device())) + position_embedding_;
  for (const auto& block : blocks_) {
    const auto normal = block.before_attention(x);
    x = x + block.attention(normal, normal, true);
    const auto wide = block.widen(block.before_mlp(x));
    x = x + block.narrow(wide * (1.702 * wide).sigmoid());  // CLIP's quick GELU
  }
  x = last_norm_(x);
  std::vector<at::Tensor> ends;
  const auto last = tokens.argmax(1);
  for (int64_t i = 0; i < tokens.size(0); ++i) ends.push_back(x[i][last[i].item<int64_t>()]);
  return at::stack(ends).mm(projection_);
}

}  // namespace lpnsr
