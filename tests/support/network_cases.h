#pragma once
// Options of the reference cases and of the manifests, which use the published names.
#include <nlohmann/json.hpp>

#include "diffusion/autoencoder.h"
#include "diffusion/swin_unet.h"

namespace lpnsr::testing {

inline SwinUNetOptions unet_options(const nlohmann::json& config) {
  SwinUNetOptions o;
  o.image_size = config.at("image_size");
  o.in_channels = config.at("in_channels");
  o.model_channels = config.at("model_channels");
  o.out_channels = config.at("out_channels");
  o.attention_resolutions = config.at("attention_resolutions").get<std::vector<int64_t>>();
  o.channel_mult = config.at("channel_mult").get<std::vector<int64_t>>();
  o.num_res_blocks = config.at("num_res_blocks").get<std::vector<int64_t>>();
  o.num_head_channels = config.at("num_head_channels");
  o.num_heads = config.value("num_heads", int64_t{1});
  o.use_scale_shift_norm = config.at("use_scale_shift_norm");
  o.resblock_updown = config.at("resblock_updown");
  o.conv_resample = config.at("conv_resample");
  o.swin_depth = config.at("swin_depth");
  o.swin_embed_dim = config.at("swin_embed_dim");
  o.window_size = config.at("window_size");
  o.mlp_ratio = config.at("mlp_ratio");
  o.patch_norm = config.at("patch_norm");
  o.cond_lq = config.at("cond_lq");
  o.lq_size = config.at("lq_size");
  o.dropout = config.at("dropout");
  return o;
}

inline AutoencoderOptions autoencoder_options(const nlohmann::json& config) {
  AutoencoderOptions o;
  o.n_embed = config.at("n_embed");
  o.embed_dim = config.at("embed_dim");
  o.lora_tune_decoder = config.value("lora_tune_decoder", false);
  o.lora_rank = config.value("rank", int64_t{8});
  o.lora_alpha = config.value("lora_alpha", 1.0);
  const auto& d = config.at("ddconfig");
  o.ddconfig.double_z = d.at("double_z");
  o.ddconfig.z_channels = d.at("z_channels");
  o.ddconfig.resolution = d.at("resolution");
  o.ddconfig.in_channels = d.at("in_channels");
  o.ddconfig.out_ch = d.at("out_ch");
  o.ddconfig.ch = d.at("ch");
  o.ddconfig.ch_mult = d.at("ch_mult").get<std::vector<int64_t>>();
  o.ddconfig.num_res_blocks = d.at("num_res_blocks");
  o.ddconfig.attn_resolutions = d.at("attn_resolutions").get<std::vector<int64_t>>();
  o.ddconfig.dropout = d.at("dropout");
  return o;
}

}  // namespace lpnsr::testing
