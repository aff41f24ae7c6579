#include "eval/topiq.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr int64_t topiq_width = 256, topiq_mlp = 1024, topiq_heads = 4;
constexpr std::array<int64_t, 5> level_channels = {64, 256, 512, 1024, 2048};

WeightReader reader_of(const std::vector<std::filesystem::path>& files, c10::Device device) {
  auto merged = merged_weights(files);
  return {std::move(merged.entries), merged.origin, device};
}

void skip_attention(WeightReader& reader, const std::string& key, int64_t width) {
  reader.skip(key + ".in_proj_weight", {3 * width, width});
  reader.skip(key + ".in_proj_bias", {3 * width});
  reader.skip(key + ".out_proj.weight", {width, width});
  reader.skip(key + ".out_proj.bias", {width});
}

}  // namespace

at::Tensor TopiqNr::EncoderLayer::operator()(const at::Tensor& tokens) const {
  const auto normal = before_attention(tokens);
  const auto x = tokens + attention(normal, normal);
  return x + narrow(at::gelu(widen(before_mlp(x))));
}

at::Tensor TopiqNr::DecoderLayer::operator()(const at::Tensor& query, const at::Tensor& memory) const {
  const auto x = query + attention(of_query(query), of_memory(memory));
  return x + narrow(at::gelu(widen(before_mlp(x))));
}

TopiqNr::EncoderLayer TopiqNr::take_encoder(WeightReader& reader, const std::string& key) {
  return {take_attention(reader, key + "self_attn", topiq_width, topiq_heads), take_linear(reader, key + "linear1", topiq_width, topiq_mlp),
          take_linear(reader, key + "linear2", topiq_mlp, topiq_width), take_layer_norm(reader, key + "norm1", topiq_width),
          take_layer_norm(reader, key + "norm2", topiq_width)};
}

TopiqNr::DecoderLayer TopiqNr::take_decoder(WeightReader& reader, const std::string& key) {
  skip_attention(reader, key + "self_attn", topiq_width);
  return {take_attention(reader, key + "multihead_attn", topiq_width, topiq_heads),
          take_linear(reader, key + "linear1", topiq_width, topiq_mlp),
          take_linear(reader, key + "linear2", topiq_mlp, topiq_width),
          take_layer_norm(reader, key + "norm1", topiq_width),
          take_layer_norm(reader, key + "norm2", topiq_width),
          take_layer_norm(reader, key + "norm3", topiq_width)};
}

TopiqNr::TopiqNr(const std::vector<std::filesystem::path>& files, c10::Device device) : TopiqNr(reader_of(files, device), device) {}

TopiqNr::TopiqNr(WeightReader reader, c10::Device device) : device_(device), backbone_(reader, "semantic_model.") {
  row_embedding_ = reader.take("h_emb", {1, topiq_width / 2, 32, 1});
  column_embedding_ = reader.take("w_emb", {1, topiq_width / 2, 1, 32});
  for (size_t i = 0; i < level_channels.size(); ++i) {
    const int64_t channels = level_channels[i];
    const std::string gate = fmt::format("weight_pool.{}.", i);
    Level level;
    level.split = take_convolution(reader, gate + "splitconv", square_kernel(channels, 2 * channels, 1));
    level.gate1 = take_convolution(reader, gate + "weight_blk.0", square_kernel(channels, 64, 1));
    level.gate2 = take_convolution(reader, gate + "weight_blk.2", square_kernel(64, 64, 3));
    level.gate3 = take_convolution(reader, gate + "weight_blk.4", square_kernel(64, 1, 3));
    level.reduce = take_convolution(reader, fmt::format("dim_reduce.{}.0", i), square_kernel(channels, topiq_width, 1));
    level.attention = take_encoder(reader, fmt::format("sa_attn_blks.{}.layers.0.", i));
    levels_.push_back(std::move(level));
  }
  for (size_t i = 0; i + 1 < level_channels.size(); ++i)
    decoders_.push_back(take_decoder(reader, fmt::format("attn_blks.{}.layers.0.", i)));
  pool_ = take_encoder(reader, "attn_pool.");
  head_norm1_ = take_layer_norm(reader, "score_linear.0", topiq_width);
  head1_ = take_linear(reader, "score_linear.1", topiq_width, topiq_width);
  head_norm2_ = take_layer_norm(reader, "score_linear.3", topiq_width);
  head2_ = take_linear(reader, "score_linear.4", topiq_width, topiq_width);
  head3_ = take_linear(reader, "score_linear.6", topiq_width, 1);
  reader.finish();
}

at::Tensor TopiqNr::run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const {
  if (std::min(image.size(-1), image.size(-2)) < 32)
    throw UsageError(fmt::format("TOPIQ needs 32 pixels a side; the picture is {}x{}", image.size(-1), image.size(-2)));
  const auto note = [&](const std::string& name, const at::Tensor& value) {
    if (stages != nullptr) (*stages)[name] = value;
  };
  const auto maps = backbone_(normalised_image(image, imagenet_normalisation(), device_));
  for (size_t i = 0; i < maps.size(); ++i) note(fmt::format("semantic{}", i), maps[i]);
  const int64_t height = maps.back().size(2), width = maps.back().size(3);
  const auto embedding = at::cat({row_embedding_.expand({-1, -1, -1, 32}), column_embedding_.expand({-1, -1, 32, -1})}, 1);

  // From the coarsest level to the finest; each becomes the memory that the tokens so far attend to.
  at::Tensor query;
  for (size_t i = levels_.size(); i-- > 0;) {
    const auto& level = levels_[i];
    const auto halves = level.split(maps[i]).chunk(2, 1);
    const auto gate = level.gate3(at::gelu(level.gate2(at::gelu(level.gate1(halves[1]))))).sigmoid();
    auto x = at::gelu(halves[0]) * gate;
    note(fmt::format("weight_pool.{}", i), x);
    if (x.size(2) > height && x.size(3) > width) x = at::adaptive_avg_pool2d(x, {height, width});
    const auto place = at::upsample_bicubic2d(embedding, {x.size(2), x.size(3)}, false);
    x = at::gelu(level.reduce(x));
    note(fmt::format("dim_reduce.{}", i), x);
    const auto tokens = level.attention((x.flatten(2) + place.flatten(2)).transpose(1, 2).contiguous());
    note(fmt::format("sa_attn_blks.{}", i), tokens);
    if (!query.defined()) {
      query = tokens;
      continue;
    }
    // attn_blks are counted from the coarsest pair on.
    const size_t step = levels_.size() - 2 - i;
    query = decoders_[step](query, tokens);
    note(fmt::format("attn_blks.{}", step), query);
  }
  const auto pooled = pool_(query);
  note("attn_pool", pooled);
  const auto hidden = at::gelu(head1_(head_norm1_(pooled.mean(1))));
  return head3_(at::gelu(head2_(head_norm2_(hidden)))).flatten();
}

}  // namespace lpnsr
