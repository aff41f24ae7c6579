#pragma once
// Networks as the reference cases and the tests name them: options from a case's `config`, weights by the synthetic rule.
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "diffusion/autoencoder.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"

namespace lpnsr::testing {

inline SwinUNetOptions unet_options(const nlohmann::json& config) {
  SwinUNetOptions options;
  config.at("image_size").get_to(options.image_size);
  config.at("in_channels").get_to(options.in_channels);
  config.at("model_channels").get_to(options.model_channels);
  config.at("out_channels").get_to(options.out_channels);
  config.at("attention_resolutions").get_to(options.attention_resolutions);
  config.at("channel_mult").get_to(options.channel_mult);
  config.at("num_res_blocks").get_to(options.num_res_blocks);
  config.at("num_head_channels").get_to(options.num_head_channels);
  config.at("use_scale_shift_norm").get_to(options.use_scale_shift_norm);
  config.at("resblock_updown").get_to(options.resblock_updown);
  config.at("conv_resample").get_to(options.conv_resample);
  config.at("swin_depth").get_to(options.swin_depth);
  config.at("swin_embed_dim").get_to(options.swin_embed_dim);
  config.at("window_size").get_to(options.window_size);
  config.at("mlp_ratio").get_to(options.mlp_ratio);
  config.at("patch_norm").get_to(options.patch_norm);
  config.at("cond_lq").get_to(options.cond_lq);
  config.at("lq_size").get_to(options.lq_size);
  return options;
}

inline SwinIROptions swinir_options(const nlohmann::json& config) {
  SwinIROptions options;
  config.at("upscale").get_to(options.upscale);
  config.at("in_chans").get_to(options.in_chans);
  config.at("img_size").get_to(options.img_size);
  config.at("window_size").get_to(options.window_size);
  config.at("img_range").get_to(options.img_range);
  config.at("depths").get_to(options.depths);
  config.at("embed_dim").get_to(options.embed_dim);
  config.at("num_heads").get_to(options.num_heads);
  config.at("mlp_ratio").get_to(options.mlp_ratio);
  config.at("upsampler").get_to(options.upsampler);
  config.at("resi_connection").get_to(options.resi_connection);
  return options;
}

inline RRDBNetOptions rrdbnet_options(const nlohmann::json& config) {
  RRDBNetOptions options;
  config.at("num_in_ch").get_to(options.num_in_ch);
  config.at("num_out_ch").get_to(options.num_out_ch);
  config.at("scale").get_to(options.scale);
  config.at("num_feat").get_to(options.num_feat);
  config.at("num_block").get_to(options.num_block);
  config.at("num_grow_ch").get_to(options.num_grow_ch);
  return options;
}

}  // namespace lpnsr::testing
