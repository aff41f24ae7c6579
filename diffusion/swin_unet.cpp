#include "diffusion/swin_unet.h"

#include <bit>
#include <numeric>

#include <fmt/ranges.h>

#include "core/autocast.h"
#include "core/error.h"
#include "core/gradients.h"
#include "core/state_dict.h"
#include "diffusion/swin_block.h"

namespace lpnsr {
namespace {

constexpr int64_t kImageChannels = 3;  // of the LR condition

bool has_attention(const SwinUNetOptions& o, int64_t side) {
  return std::find(o.attention_resolutions.begin(), o.attention_resolutions.end(), side) != o.attention_resolutions.end();
}

SwinUNetOptions checked(SwinUNetOptions o) {
  if (o.channel_mult.empty()) throw UsageError("channel_mult is empty: it needs one factor for each level, as [1, 2, 2, 4]");
  const size_t levels = o.channel_mult.size();
  if (o.num_res_blocks.size() == 1) o.num_res_blocks.resize(levels, o.num_res_blocks[0]);
  if (o.num_res_blocks.size() != levels) {
    throw UsageError(fmt::format("num_res_blocks has {} entries, but channel_mult has {} levels: give one number, or one for each level",
                                 o.num_res_blocks.size(), levels));
  }
  if (*std::min_element(o.num_res_blocks.begin(), o.num_res_blocks.end()) < 1)
    throw UsageError("num_res_blocks must be at least 1 on every level");
  const int64_t factor = int64_t{1} << (levels - 1);
  if (o.image_size <= 0 || o.image_size % factor != 0) {
    throw UsageError(fmt::format("image_size is {}: with {} levels it must be a multiple of {}", o.image_size, levels, factor));
  }
  if (o.num_head_channels != -1 && (o.num_head_channels <= 0 || o.swin_embed_dim % o.num_head_channels != 0)) {
    throw UsageError(fmt::format("num_head_channels is {}: it must divide swin_embed_dim = {} (or be -1, and num_heads counts)",
                                 o.num_head_channels, o.swin_embed_dim));
  }
  const bool power_of_two =
      o.lq_size >= o.image_size && o.lq_size % o.image_size == 0 && std::has_single_bit(static_cast<uint64_t>(o.lq_size / o.image_size));
  if (o.cond_lq && !power_of_two) {
    throw UsageError(fmt::format("lq_size is {}: it must be image_size = {} times 1, 2, 4, ...", o.lq_size, o.image_size));
  }
  return o;
}

SwinLayerOptions swin_options(const SwinUNetOptions& o, int64_t channels, int64_t side) {
  SwinLayerOptions s;
  s.channels = channels;
  s.embed_dim = o.swin_embed_dim;
  s.heads = o.num_head_channels == -1 ? o.num_heads : o.swin_embed_dim / o.num_head_channels;
  s.window = o.window_size;
  s.depth = o.swin_depth;
  s.trained_side = side;
  s.mlp_ratio = o.mlp_ratio;
  s.dropout = o.dropout;
  s.norm_groups = o.norm_groups;
  s.patch_norm = o.patch_norm;
  return s;
}

std::string sizes(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ",")); }

}  // namespace

void SwinUNetOptions::fields(FieldVisitor& v) {
  v.integer("image_size", image_size, {1.0}, "side of the latents in training: decides windows and shifts");
  v.integer("in_channels", in_channels, {1.0}, "channels of the latent");
  v.integer("model_channels", model_channels, {1.0}, "channels of the first level");
  v.integer("out_channels", out_channels, {1.0}, "channels of the result");
  v.integer("norm_groups", norm_groups, {1.0}, "groups of the group normalisations; 32 as published");
  v.integers("attention_resolutions", attention_resolutions, {1.0}, "sides, in training, of the levels with attention");
  v.integers("channel_mult", channel_mult, {1.0}, "channels of each level, times model_channels");
  v.integers("num_res_blocks", num_res_blocks, {1.0}, "residual blocks: one number, or one for each level");
  v.integer("num_head_channels", num_head_channels, {-1.0}, "channels of an attention head; -1: num_heads instead");
  v.integer("num_heads", num_heads, {1.0}, "attention heads where num_head_channels is -1");
  v.boolean("use_scale_shift_norm", use_scale_shift_norm, "the time embedding scales and shifts the normalised features");
  v.boolean("resblock_updown", resblock_updown, "change resolution in residual blocks");
  v.boolean("conv_resample", conv_resample, "change resolution with convolutions");
  v.integer("swin_depth", swin_depth, {1.0}, "blocks of each attention layer");
  v.integer("swin_embed_dim", swin_embed_dim, {1.0}, "channels of the attention layers");
  v.integer("window_size", window_size, {1.0}, "side of an attention window");
  v.real("mlp_ratio", mlp_ratio, positive, "hidden channels of the attention blocks' second part, times swin_embed_dim");
  v.boolean("patch_norm", patch_norm, "normalise on the way into and out of the attention layers");
  v.boolean("cond_lq", cond_lq, "condition on the LR image");
  v.integer("lq_size", lq_size, {1.0}, "side of the LR image in training: image_size times a power of two");
  v.real("dropout", dropout, {0.0, 1.0}, "dropout probability");
  v.integer("noise_channels", noise_channels, {0.0, 64.0}, "random maps as further inputs, after the LR condition (RSD's student: 1)");
}

int64_t side_multiple(const SwinUNetOptions& options) {
  const auto o = checked(options);
  const size_t levels = o.channel_mult.size();
  int64_t multiple = int64_t{1} << (levels - 1);
  for (size_t level = 0; level < levels; ++level) {
    const int64_t side = o.image_size >> level;
    const bool attends = has_attention(o, side) || level + 1 == levels;  // the middle always does
    if (attends) multiple = std::lcm(multiple, effective_window(side, o.window_size) << level);
  }
  return multiple;
}

at::Tensor timestep_embedding(const at::Tensor& t, int64_t dim, double max_period) {
  const int64_t half = dim / 2;
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(t.device());
  const auto frequencies = (torch::arange(half, options) * (-std::log(max_period)) / static_cast<double>(half)).exp();
  const auto angles = t.flatten().to(torch::kFloat32).unsqueeze(1) * frequencies;
  const auto embedding = at::cat({angles.cos(), angles.sin()}, 1);
  return dim % 2 == 0 ? embedding : at::constant_pad_nd(embedding, {0, 1});
}

SwinUNetImpl::SwinUNetImpl(const SwinUNetOptions& options) : SwinUNetImpl(options, options.in_channels, options.out_channels) {}

SwinUNetImpl::SwinUNetImpl(const SwinUNetOptions& options, int64_t in_channels, int64_t out_channels)
    : options_(checked(options)), in_channels_(in_channels) {
  const int64_t width = options_.model_channels;
  auto time_embed = register_module("time_embed", std::make_shared<torch::nn::Module>());
  time1_ = time_embed->register_module("0", torch::nn::Linear(width, 4 * width));
  time2_ = time_embed->register_module("2", torch::nn::Linear(4 * width, 4 * width));
  if (options_.cond_lq) build_condition();
  build_levels(in_channels_ + condition_channels_ + options_.noise_channels);
  const int64_t first = options_.channel_mult.front() * width;
  auto out = register_module("out", std::make_shared<torch::nn::Module>());
  out_norm_ = out->register_module("0", group_normalisation(options_.norm_groups, first, kUNetNormEps, "model_channels with channel_mult"));
  out_conv_ = out->register_module("2", convolution(first, out_channels, 3));
}

// A LR image larger than the latent is brought to its size by pairs of convolutions, the second of each strided.
void SwinUNetImpl::build_condition() {
  condition_channels_ = kImageChannels;
  if (options_.lq_size == options_.image_size) return;
  auto extractor = register_module("feature_extractor", std::make_shared<torch::nn::Module>());
  int64_t width = 16;
  for (int64_t side = options_.lq_size, i = 0; side > options_.image_size; side /= 2, i += 3) {
    condition_convs_.emplace_back(extractor->register_module(std::to_string(i), convolution(condition_channels_, width, 3)));
    condition_downsamples_.push_back(
        extractor->register_module(std::to_string(i + 2), std::make_shared<Downsample>(width, 2 * width, true)));
    width *= 2;
    condition_channels_ = width;
  }
}

void SwinUNetImpl::build_levels(int64_t in_channels) {
  const auto& o = options_;
  const size_t levels = o.channel_mult.size();
  const auto residual = [&](int64_t in, int64_t out, Resample resample = Resample::none) {
    return std::make_shared<ResidualBlock>(
        ResidualBlockOptions{in, out, 4 * o.model_channels, o.norm_groups, o.use_scale_shift_norm, o.dropout, resample});
  };
  const auto attention = [&](int64_t width, int64_t side) { return std::make_shared<SwinLayer>(swin_options(o, width, side)); };

  auto input_blocks = register_module("input_blocks", std::make_shared<torch::nn::Module>());
  int64_t width = o.channel_mult[0] * o.model_channels;
  stem_ = convolution(in_channels, width, 3);
  input_blocks->register_module("0", std::make_shared<torch::nn::Module>())->register_module("0", stem_);
  std::vector<int64_t> skipped = {width};
  const auto add_down = [&](const std::shared_ptr<UNetStage>& stage) {
    down_.push_back(input_blocks->register_module(std::to_string(skipped.size()), stage));
    skipped.push_back(width);
  };
  int64_t side = o.image_size;
  for (size_t level = 0; level < levels; ++level) {
    for (int64_t i = 0; i < o.num_res_blocks[level]; ++i) {
      auto stage = std::make_shared<UNetStage>();
      const int64_t out = o.channel_mult[level] * o.model_channels;
      stage->add(residual(width, out));
      width = out;
      if (i == 0 && has_attention(o, side)) stage->add(attention(width, side));
      add_down(stage);
    }
    if (level + 1 == levels) break;
    auto stage = std::make_shared<UNetStage>();
    if (o.resblock_updown) {
      stage->add(residual(width, width, Resample::down));
    } else {
      stage->add(std::make_shared<Downsample>(width, width, o.conv_resample));
    }
    add_down(stage);
    side /= 2;
  }

  middle_ = register_module("middle_block", std::make_shared<UNetStage>());
  middle_->add(residual(width, width));
  middle_->add(attention(width, side));
  middle_->add(residual(width, width));

  auto output_blocks = register_module("output_blocks", std::make_shared<torch::nn::Module>());
  for (size_t level = levels; level-- > 0;) {
    for (int64_t i = 0; i <= o.num_res_blocks[level]; ++i) {
      auto stage = std::make_shared<UNetStage>();
      const int64_t out = o.channel_mult[level] * o.model_channels;
      stage->add(residual(width + skipped.back(), out));
      skipped.pop_back();
      width = out;
      if (i == 0 && has_attention(o, side)) stage->add(attention(width, side));
      if (level > 0 && i == o.num_res_blocks[level]) {
        if (o.resblock_updown) {
          stage->add(residual(width, width, Resample::up));
        } else {
          stage->add(std::make_shared<Upsample>(width, o.conv_resample));
        }
        side *= 2;
      }
      up_.push_back(output_blocks->register_module(std::to_string(up_.size()), stage));
    }
  }
}

void SwinUNetImpl::check(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, const at::Tensor& noise) const {
  if (x.dim() != 4 || x.size(1) != in_channels_) {
    throw UsageError(fmt::format("the network's input has shape {}; it takes [N,{},H,W]", sizes(x), in_channels_));
  }
  const int64_t height = x.size(2), width = x.size(3), multiple = side_multiple(options_);
  if (height % multiple != 0 || width % multiple != 0 || height == 0 || width == 0) {
    const auto up = [multiple](int64_t side) { return std::max<int64_t>(1, (side + multiple - 1) / multiple) * multiple; };
    throw UsageError(
        fmt::format("the network's input is {}x{} (height x width), but its attention windows fit only multiples of {}: pad it to {}x{}",
                    height, width, multiple, up(height), up(width)));
  }
  if (t.numel() != 1 && t.numel() != x.size(0)) {
    throw UsageError(fmt::format("{} step indices for a batch of {}: give one, or one for each element", t.numel(), x.size(0)));
  }
  if (options_.noise_channels > 0 && (!noise.defined() || noise.dim() != 4 || noise.size(0) != x.size(0) ||
                                      noise.size(1) != options_.noise_channels || noise.size(2) != height || noise.size(3) != width)) {
    throw UsageError(fmt::format("the network's noise input has shape {}; beside an input of shape {} it must be [{},{},{},{}]",
                                 noise.defined() ? sizes(noise) : "none", sizes(x), x.size(0), options_.noise_channels, height, width));
  }
  if (!options_.cond_lq) return;
  const int64_t factor = options_.lq_size / options_.image_size;
  if (!lq.defined() || lq.dim() != 4 || lq.size(0) != x.size(0) || lq.size(1) != kImageChannels || lq.size(2) != height * factor ||
      lq.size(3) != width * factor) {
    throw UsageError(fmt::format("the LR condition has shape {}; beside an input of shape {} it must be [{},{},{},{}]",
                                 lq.defined() ? sizes(lq) : "none", sizes(x), x.size(0), kImageChannels, height * factor, width * factor));
  }
}

void SwinUNetImpl::recompute(Recomputed what) {
  recomputes_stages_ = what == Recomputed::all;
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* block = module->as<SwinBlockImpl>()) block->recompute(what == Recomputed::attention);
  }
}

at::Tensor SwinUNetImpl::run(UNetStage& stage, const at::Tensor& h, const at::Tensor& embedding) const {
  if (!recomputes_stages_ || !torch::GradMode::is_enabled()) return stage.forward(h, embedding);
  return checkpoint([&stage](const std::vector<at::Tensor>& inputs) { return stage.forward(inputs[0], inputs[1]); }, {h, embedding},
                    stage.parameters(), options_.dropout > 0.0);
}

// To look at steps on a GPU would wait for it; pictures at different steps hardly come again.
bool SwinUNetImpl::kept_for(const at::Tensor& t) { return t.is_cpu() && t.numel() == 1; }

at::Tensor SwinUNetImpl::sinusoid(const at::Tensor& t) {
  const auto device = stem_->weight.device();
  const auto type = stem_->weight.scalar_type();
  const auto make = [&] { return timestep_embedding(t.to(device), options_.model_channels).to(type); };
  return kept_for(t) ? sinusoids_.of({}, {t.clone(), device, type}, make) : make();
}

at::Tensor SwinUNetImpl::embed(const at::Tensor& t) {
  const auto make = [&] { return at::silu(time2_(at::silu(time1_(sinusoid(t))))); };
  const auto &w1 = time1_->weight, &b1 = time1_->bias, &w2 = time2_->weight, &b2 = time2_->bias;
  if (wants_gradient({w1, b1, w2, b2}) || !kept_for(t)) return make();
  return embeddings_.of({w1, b1, w2, b2}, {t.clone(), w1.device(), autocast_type(w1)}, make);
}

std::vector<at::Tensor> SwinUNetImpl::encode(const at::Tensor& x, const at::Tensor& lq, const at::Tensor& noise,
                                             const at::Tensor& embedding) {
  const auto type = stem_->weight.scalar_type();
  std::vector<at::Tensor> inputs{x.to(type)};
  if (options_.cond_lq) {
    auto condition = lq.to(type);
    for (size_t i = 0; i < condition_convs_.size(); ++i) {
      condition = condition_downsamples_[i]->forward(at::silu(condition_convs_[i](condition)), embedding);
    }
    inputs.push_back(condition);
  }
  if (options_.noise_channels > 0) inputs.push_back(noise.to(type));
  auto h = stem_(inputs.size() == 1 ? inputs.front() : at::cat(inputs, 1));
  std::vector<at::Tensor> outputs = {h};
  for (const auto& stage : down_) outputs.push_back(h = run(*stage, h, embedding));
  return outputs;
}

at::Tensor SwinUNetImpl::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, const at::Tensor& noise) {
  check(x, t, lq, noise);
  const auto embedding = embed(t);
  return passes_.run(*this, {x, lq, noise}, embedding,
                     [this, embedding](const std::vector<at::Tensor>& inputs) { return pass(inputs[0], inputs[1], inputs[2], embedding); });
}

at::Tensor SwinUNetImpl::pass(const at::Tensor& x, const at::Tensor& lq, const at::Tensor& noise, const at::Tensor& embedding) {
  auto skipped = encode(x, lq, noise, embedding);
  auto h = run(*middle_, skipped.back(), embedding);
  for (const auto& stage : up_) {
    h = run(*stage, at::cat({h, skipped.back()}, 1), embedding);
    skipped.pop_back();
  }
  return norm_silu_convolve(out_norm_, out_conv_, h).to(x.scalar_type());
}

at::Tensor SwinUNetImpl::features(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, bool after_middle) {
  check(x, t, lq, {});
  const auto embedding = embed(t);
  const auto deepest = encode(x, lq, {}, embedding).back();
  return after_middle ? run(*middle_, deepest, embedding) : deepest;
}

at::Tensor condition_of_size(const at::Tensor& lq, int64_t height, int64_t width) {
  constexpr int64_t folded = 2, enlarged = 4;
  const int64_t h = lq.size(2), w = lq.size(3);
  if (h == height && w == width) return lq;
  if (h == folded * height && w == folded * width) return at::pixel_unshuffle(lq, folded);
  if (enlarged * h == height && enlarged * w == width) return at::upsample_nearest2d(lq, {height, width});
  throw UsageError(fmt::format("the LR condition is {}x{}; beside a latent of {}x{} it must be as large, {} times as large or a {}th", h, w,
                               height, width, folded, enlarged));
}

int64_t feature_channels(const SwinUNetOptions& options) { return options.channel_mult.back() * options.model_channels; }

int64_t feature_reduction(const SwinUNetOptions& options) { return int64_t{1} << (options.channel_mult.size() - 1); }

SwinUNet widened(const SwinUNet& teacher, SwinUNetOptions options) {
  SwinUNet student(std::move(options));
  student->to(teacher.ptr()->parameters().front().device(), teacher.ptr()->parameters().front().scalar_type());
  const std::string first = "input_blocks.0.0.weight";
  const StateDict theirs = state_dict(*teacher), ours = state_dict(*student);
  StateDict weights;
  for (const auto& [key, tensor] : theirs) {
    if (key != first) weights.add(key, tensor);
  }
  at::Tensor wide = torch::zeros_like(ours.at(first));
  wide.narrow(1, 0, theirs.at(first).size(1)).copy_(theirs.at(first).detach());
  weights.add(first, wide);
  load_strictly(*student, weights, "the teacher");
  return student;
}

}  // namespace lpnsr
