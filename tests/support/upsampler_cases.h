#pragma once
// Options of the pre-upsamplers' reference cases, which use the published names.
#include <nlohmann/json.hpp>

#include "diffusion/rrdbnet.h"
#include "diffusion/swinir.h"

namespace lpnsr::testing {

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
