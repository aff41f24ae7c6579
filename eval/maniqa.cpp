#include "eval/maniqa.h"

#include <cmath>

#include <ATen/Functions.h>
#include <fmt/format.h>

namespace lpnsr {
namespace {

constexpr int64_t crop_side = 224, token_grid = 28, token_count = token_grid * token_grid;
constexpr int64_t swin_window = 4, window_tokens = swin_window * swin_window, swin_heads = 4, swin_mlp = 768;
constexpr double residual_scale = 0.8;  // of the koniq and kadid configurations; 0.13 is pipal's
constexpr size_t first_tapped = 6, last_tapped = 9;

// [N,28,28,C] -> [N*49,16,C] and back.
at::Tensor into_windows(const at::Tensor& x) {
  const int64_t n = x.size(0), windows = token_grid / swin_window;
  return x.view({n, windows, swin_window, windows, swin_window, -1})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({n * windows * windows, window_tokens, -1});
}
at::Tensor from_windows(const at::Tensor& x, int64_t n) {
  const int64_t windows = token_grid / swin_window;
  return x.view({n, windows, windows, swin_window, swin_window, -1}).permute({0, 1, 3, 2, 4, 5}).reshape({n, token_grid, token_grid, -1});
}

// Row of the bias table for each pair of a window's tokens: int64 [256].
at::Tensor relative_places() {
  auto places = at::empty({window_tokens * window_tokens}, at::kLong);
  for (int64_t i = 0; i < window_tokens; ++i) {
    for (int64_t j = 0; j < window_tokens; ++j) {
      const int64_t down = i / swin_window - j / swin_window + swin_window - 1,
                    across = i % swin_window - j % swin_window + swin_window - 1;
      places.data_ptr<int64_t>()[i * window_tokens + j] = down * (2 * swin_window - 1) + across;
    }
  }
  return places;
}

// After a cyclic shift the windows at the end hold tokens of both edges; those see each other with -100. [49,16,16]
at::Tensor shift_mask(int64_t shift) {
  auto region = at::empty({1, token_grid, token_grid, 1}, at::kFloat);
  const auto part = [shift](int64_t i) { return i < token_grid - swin_window ? 0 : i < token_grid - shift ? 1 : 2; };
  for (int64_t y = 0; y < token_grid; ++y) {
    for (int64_t x = 0; x < token_grid; ++x) region.data_ptr<float>()[y * token_grid + x] = static_cast<float>(3 * part(y) + part(x));
  }
  const auto rows = into_windows(region).squeeze(-1);
  return at::where(rows.unsqueeze(1) == rows.unsqueeze(2), at::zeros({1}), at::full({1}, -100.0));
}

WeightReader maniqa_reader(const std::vector<std::filesystem::path>& files, c10::Device device) {
  auto merged = merged_weights(files);
  return {std::move(merged.entries), merged.origin, device};
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> maniqa_crops(int64_t height, int64_t width, int64_t count) {
  // pyiqa's grid has the root of the count rounded up as its columns and the root rounded down as the divisor of its step.
  const double root = std::sqrt(static_cast<double>(count));
  const auto columns = static_cast<int64_t>(std::ceil(root)), divisor = static_cast<int64_t>(root);
  const int64_t down = (height - crop_side) / divisor, across = (width - crop_side) / divisor;
  std::vector<std::pair<int64_t, int64_t>> crops;
  for (int64_t i = 0; i < count; ++i) crops.emplace_back(i / columns * down, i % columns * across);
  return crops;
}

at::Tensor maniqa_sized(const at::Tensor& image) {
  const int64_t height = image.size(1), width = image.size(2), shorter = std::min(height, width);
  if (shorter > crop_side) return image;
  // The factor itself sets the sampling; the sizes are rounded down.
  const double factor = static_cast<double>(crop_side + 1) / static_cast<double>(shorter);
  const auto side = [factor](int64_t n) { return static_cast<int64_t>(std::floor(static_cast<double>(n) * factor)); };
  return at::upsample_bilinear2d(image.unsqueeze(0), {side(height), side(width)}, false, factor, factor).squeeze(0);
}

// Attention between channels, [N,C,784]. The published model reads the result in the transposed order, and so must this.
at::Tensor Maniqa::ChannelAttention::operator()(const at::Tensor& x) const {
  const auto joined = at::scaled_dot_product_attention(query(x).unsqueeze(1), key(x).unsqueeze(1), value(x).unsqueeze(1)).squeeze(1);
  return x + joined.transpose(1, 2).reshape(x.sizes());
}

at::Tensor Maniqa::WindowBlock::operator()(const at::Tensor& x) const {
  const int64_t n = x.size(0), width = x.size(2);
  auto y = before_attention(x).view({n, token_grid, token_grid, width});
  if (shift > 0) y = y.roll({-shift, -shift}, {1, 2});
  const auto windows = into_windows(y);
  const auto qkv = query_key_value(windows).view({windows.size(0), window_tokens, 3, heads, width / heads}).permute({2, 0, 3, 1, 4});
  const auto mask = bias.size(0) == 1 ? bias : bias.repeat({n, 1, 1, 1});
  const auto joined = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], mask).transpose(1, 2).reshape(windows.sizes());
  y = from_windows(out(joined), n);
  if (shift > 0) y = y.roll({shift, shift}, {1, 2});
  const auto z = x + y.reshape(x.sizes());
  return z + mlp(before_mlp(z));
}

std::array<Maniqa::ChannelAttention, 2> Maniqa::take_channel_attention(WeightReader& reader, const std::string& key) {
  std::array<ChannelAttention, 2> blocks;
  for (size_t i = 0; i < 2; ++i) {
    const auto take = [&](const char* part) {
      return take_linear(reader, fmt::format("{}.{}.{}", key, i, part), token_count, token_count);
    };
    blocks[i] = {take("c_q"), take("c_k"), take("c_v")};
  }
  return blocks;
}

Maniqa::SwinStage Maniqa::take_swin(WeightReader& reader, const std::string& key, int64_t width) const {
  SwinStage stage;
  const auto places = relative_places().to(device_);
  for (size_t l = 0; l < stage.size(); ++l) {
    const std::string layer = fmt::format("{}.layers.{}.", key, l);
    stage[l].filter = take_convolution(reader, layer + "conv", square_kernel(width, width, 3));
    for (size_t b = 0; b < 2; ++b) {
      const std::string prefix = fmt::format("{}blocks.{}.", layer, b);
      auto& block = stage[l].blocks[b];
      block.before_attention = take_layer_norm(reader, prefix + "norm1", width);
      block.query_key_value = take_linear(reader, prefix + "attn.qkv", width, 3 * width);
      block.out = take_linear(reader, prefix + "attn.proj", width, width);
      block.before_mlp = take_layer_norm(reader, prefix + "norm2", width);
      block.mlp = take_mlp(reader, prefix + "mlp.", width, swin_mlp);
      const auto table =
          reader.take(prefix + "attn.relative_position_bias_table", {(2 * swin_window - 1) * (2 * swin_window - 1), swin_heads});
      block.bias = table.index_select(0, places).t().reshape({1, swin_heads, window_tokens, window_tokens});
      block.shift = b == 0 ? 0 : swin_window / 2;
      if (block.shift > 0) block.bias = block.bias + shift_mask(block.shift).to(device_).unsqueeze(1);
    }
  }
  reader.skip(key + ".downsample.weight", {width, width, 3, 3});
  reader.skip(key + ".downsample.bias", {width});
  return stage;
}

at::Tensor Maniqa::run_swin(const SwinStage& stage, const at::Tensor& x) {
  auto tokens = x.flatten(2).transpose(1, 2).contiguous();
  for (const auto& layer : stage) {
    auto y = tokens;
    for (const auto& block : layer.blocks) y = block(y);
    y = layer.filter(y.transpose(1, 2).reshape(x.sizes())).relu_().flatten(2).transpose(1, 2);
    tokens = tokens + residual_scale * y;
  }
  return tokens.transpose(1, 2).reshape(x.sizes());
}

Maniqa::Maniqa(const std::vector<std::filesystem::path>& files, c10::Device device) : Maniqa(maniqa_reader(files, device), device) {}

Maniqa::Maniqa(WeightReader reader, c10::Device device) : device_(device), transformer_(reader, "vit.", last_tapped + 1) {
  channels1_ = take_channel_attention(reader, "tablock1");
  reduce1_ = take_convolution(reader, "conv1", square_kernel(3072, 768, 1));
  swin1_ = take_swin(reader, "swintransformer1", 768);
  channels2_ = take_channel_attention(reader, "tablock2");
  reduce2_ = take_convolution(reader, "conv2", square_kernel(768, 384, 1));
  swin2_ = take_swin(reader, "swintransformer2", 384);
  score_ = {take_linear(reader, "fc_score.0", 384, 384), take_linear(reader, "fc_score.3", 384, 1)};
  weight_ = {take_linear(reader, "fc_weight.0", 384, 384), take_linear(reader, "fc_weight.3", 384, 1)};
  reader.finish();
}

ManiqaPatches Maniqa::patches(const at::Tensor& crops, std::map<std::string, at::Tensor>* stages) const {
  const auto note = [&](const char* name, const at::Tensor& value) {
    if (stages != nullptr) (*stages)[name] = value;
  };
  std::vector<at::Tensor> tapped;
  for (const auto& output : transformer_(crops, first_tapped)) tapped.push_back(output.slice(1, 1));
  auto x = at::cat(tapped, 2).transpose(1, 2).contiguous();
  const std::vector<int64_t> grid = {x.size(0), -1, token_grid, token_grid};
  for (const auto& block : channels1_) x = block(x);
  x = reduce1_(x.view(grid)).contiguous();
  note("conv1", x);
  x = run_swin(swin1_, x);
  note("swintransformer1", x);
  x = x.flatten(2);
  for (const auto& block : channels2_) x = block(x);
  x = reduce2_(x.view(grid)).contiguous();
  note("conv2", x);
  x = run_swin(swin2_, x);
  note("swintransformer2", x);
  const auto tokens = x.flatten(2).transpose(1, 2);
  ManiqaPatches result{score_[1](score_[0](tokens).relu_()).relu_(), weight_[1](weight_[0](tokens).relu_()).sigmoid()};
  note("fc_score", result.score);
  note("fc_weight", result.weight);
  return result;
}

at::Tensor Maniqa::operator()(const std::vector<at::Tensor>& images, int64_t crops, const BatchSize& size) const {
  struct Counted {
    int64_t image, times;
  };
  std::vector<at::Tensor> crop_list;
  std::vector<Counted> counted;
  for (size_t i = 0; i < images.size(); ++i) {
    const auto sized = maniqa_sized(images[i].to(at::kFloat)).sub(0.5).div(0.5).to(device_);
    // Crops at the same place, as in pictures of 225 rows, are computed once and counted as often as they occur.
    std::map<std::pair<int64_t, int64_t>, int64_t> places;
    for (const auto& place : maniqa_crops(sized.size(1), sized.size(2), crops)) ++places[place];
    for (const auto& [place, times] : places) {
      crop_list.push_back(sized.narrow(1, place.first, crop_side).narrow(2, place.second, crop_side));
      counted.push_back({static_cast<int64_t>(i), times});
    }
  }
  // Of each crop: the sum of its scores by their weights, and of the weights.
  const auto sums = in_batches(crop_list, {}, size, [this](const at::Tensor& batch, const at::Tensor&) {
    const auto result = patches(batch);
    const auto weight = result.weight.to(at::kDouble);
    return at::stack({(result.score.to(at::kDouble) * weight).sum({1, 2}), weight.sum({1, 2})}, 1);
  });
  auto totals = at::zeros({static_cast<int64_t>(images.size()), 2}, at::kDouble);
  const auto of_crop = sums.to(at::kCPU);
  for (size_t k = 0; k < counted.size(); ++k)
    totals[counted[k].image] += static_cast<double>(counted[k].times) * of_crop[static_cast<int64_t>(k)];
  return totals.select(1, 0) / (totals.select(1, 1) + 1e-8);
}

}  // namespace lpnsr
