#pragma once
// A complete system small enough for tests: sides that are multiples of 8, four-fold enlargement, synthetic weights.
#include "core/state_dict.h"
#include "diffusion/system.h"
#include "tests/support/synthetic.h"

namespace lpnsr::testing {

inline SwinUNetOptions small_denoiser() {
  SwinUNetOptions options;
  options.image_size = 16;
  options.model_channels = 32;
  options.attention_resolutions = {16, 8};
  options.channel_mult = {1, 2};
  options.num_res_blocks = {1, 1};
  options.num_head_channels = 16;
  options.swin_embed_dim = 32;
  options.window_size = 4;
  options.lq_size = 16;
  return options;
}

inline SystemOptions small_system() {
  SystemOptions options;
  options.denoiser = options.noise_predictor = small_denoiser();
  options.autoencoder.n_embed = 64;
  options.autoencoder.ddconfig.ch = 32;
  options.autoencoder.ddconfig.num_res_blocks = 1;
  options.swinir.img_size = 16;
  options.swinir.window_size = 4;
  options.swinir.depths = {2, 2};
  options.swinir.num_heads = {2, 2};
  options.swinir.embed_dim = 32;
  options.rrdbnet.num_feat = 16;
  options.rrdbnet.num_block = 1;
  options.rrdbnet.num_grow_ch = 8;
  options.pre_upsampler = "bicubic";
  return options;
}

// Smaller still, for pictures of a hundred thousand pixels: little but the maps' memory is left.
inline SystemOptions micro_system() {
  SystemOptions options = small_system();
  auto& denoiser = options.denoiser;
  denoiser.norm_groups = 4;
  denoiser.model_channels = denoiser.swin_embed_dim = denoiser.num_head_channels = 8;
  denoiser.attention_resolutions = {8};
  denoiser.channel_mult = {1, 1};
  denoiser.mlp_ratio = 1.0;
  options.noise_predictor = denoiser;
  options.autoencoder.ddconfig.ch = options.autoencoder.ddconfig.norm_groups = 4;
  options.autoencoder.ddconfig.ch_mult = {1, 1, 2};
  return options;
}

// Filled under the salt "small/TAG", in eval mode.
template <class Network, class Options>
Network small_network(const Options& options, const std::string& tag) {
  Network network(options);
  fill_synthetic(*network, "small/" + tag);
  network->eval();
  return network;
}

}  // namespace lpnsr::testing
