#include "diffusion/rrdbnet.h"

#include <array>
#include <regex>

#include <fmt/format.h>

#include "core/error.h"
#include "diffusion/image_ops.h"
#include "diffusion/layers.h"

namespace lpnsr {
namespace {

constexpr double kSlope = 0.2;          // of every leaky ReLU
constexpr double kResidualScale = 0.2;  // ESRGAN's residual scaling

// Five convolutions, each of which sees the outputs of all before it.
class ResidualDenseBlockImpl : public torch::nn::Module {
 public:
  ResidualDenseBlockImpl(int64_t features, int64_t growth) {
    for (int64_t i = 0; i < kConvolutions; ++i) {
      const int64_t out = i + 1 < kConvolutions ? growth : features;
      convolutions_[static_cast<size_t>(i)] = register_module(fmt::format("conv{}", i + 1), convolution(features + i * growth, out, 3));
    }
  }
  at::Tensor forward(const at::Tensor& x) {
    at::Tensor seen = x;
    for (size_t i = 0; i + 1 < kConvolutions; ++i) {
      seen = torch::cat({seen, torch::leaky_relu(convolutions_[i]->forward(seen), kSlope)}, 1);
    }
    return x + kResidualScale * convolutions_.back()->forward(seen);
  }

 private:
  static constexpr int64_t kConvolutions = 5;
  std::array<Conv2d, kConvolutions> convolutions_{nullptr, nullptr, nullptr, nullptr, nullptr};
};
TORCH_MODULE(ResidualDenseBlock);

// Residual-in-residual dense block.
class RRDBImpl : public torch::nn::Module {
 public:
  RRDBImpl(int64_t features, int64_t growth)
      : rdb1_(register_module("rdb1", ResidualDenseBlock(features, growth))),
        rdb2_(register_module("rdb2", ResidualDenseBlock(features, growth))),
        rdb3_(register_module("rdb3", ResidualDenseBlock(features, growth))) {}
  at::Tensor forward(const at::Tensor& x) { return x + kResidualScale * rdb3_(rdb2_(rdb1_(x))); }

 private:
  ResidualDenseBlock rdb1_, rdb2_, rdb3_;
};
TORCH_MODULE(RRDB);

// The network itself enlarges four times: smaller scales first move blocks of pixels into the channels.
int64_t unshuffle_factor(int64_t scale) { return 4 / scale; }

}  // namespace

void RRDBNetOptions::fields(FieldVisitor& v) {
  v.integer("num_in_ch", num_in_ch, Range{1, 64}, "channels of the input");
  v.integer("num_out_ch", num_out_ch, Range{1, 64}, "channels of the output");
  v.integer("scale", scale, Range{1, 4}, "enlargement: 4, 2 or 1");
  v.integer("num_feat", num_feat, Range{1, 4096}, "channels of the trunk");
  v.integer("num_block", num_block, Range{1, 1000}, "residual-in-residual dense blocks");
  v.integer("num_grow_ch", num_grow_ch, Range{1, 4096}, "channels that each convolution of a dense block adds");
}

RRDBNetImpl::RRDBNetImpl(const RRDBNetOptions& options) : options_(options) {
  if (options.scale != 4 && options.scale != 2 && options.scale != 1) {
    throw UsageError(fmt::format("rrdbnet.scale is {}; it must be 4, 2 or 1", options.scale));
  }
  const int64_t factor = unshuffle_factor(options.scale), features = options.num_feat;
  conv_first_ = register_module("conv_first", convolution(options.num_in_ch * factor * factor, features, 3));
  body_ = register_module("body", torch::nn::Sequential());
  for (int64_t i = 0; i < options.num_block; ++i) body_->push_back(RRDB(features, options.num_grow_ch));
  conv_body_ = register_module("conv_body", convolution(features, features, 3));
  conv_up1_ = register_module("conv_up1", convolution(features, features, 3));
  conv_up2_ = register_module("conv_up2", convolution(features, features, 3));
  conv_hr_ = register_module("conv_hr", convolution(features, features, 3));
  conv_last_ = register_module("conv_last", convolution(features, options.num_out_ch, 3));
}

at::Tensor RRDBNetImpl::forward(const at::Tensor& image) {
  const int64_t factor = unshuffle_factor(options_.scale), height = image.size(-2), width = image.size(-1);
  const auto whole = pad_mirrored(image, round_up(height, factor), round_up(width, factor), Mirror::skip_edge);
  const auto shallow = conv_first_(factor > 1 ? torch::pixel_unshuffle(whole, factor) : whole);
  auto features = shallow + conv_body_(body_->forward(shallow));
  features = torch::leaky_relu(conv_up1_->forward_enlarged(features), kSlope);
  features = torch::leaky_relu(conv_up2_->forward_enlarged(features), kSlope);
  const auto large = conv_last_(torch::leaky_relu(conv_hr_(features), kSlope));
  return large.slice(-2, 0, height * options_.scale).slice(-1, 0, width * options_.scale).contiguous();
}

StateDict rename_old_rrdb_keys(const StateDict& weights) {
  static const std::vector<std::pair<std::regex, std::string>> renamings = {
      {std::regex(R"(^RRDB_trunk\.(\d+)\.RDB(\d)\.)"), "body.$1.rdb$2."},
      {std::regex(R"(^trunk_conv\.)"), "conv_body."},
      {std::regex(R"(^upconv(\d)\.)"), "conv_up$1."},
      {std::regex(R"(^HRconv\.)"), "conv_hr."},
  };
  StateDict renamed;
  for (const auto& [key, value] : weights) {
    std::string name = key;
    for (const auto& [old_name, new_name] : renamings) name = std::regex_replace(name, old_name, new_name);
    renamed.add(name, value);
  }
  return renamed;
}

}  // namespace lpnsr
