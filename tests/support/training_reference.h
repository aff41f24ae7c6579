#pragma once
// The networks, pictures and noise of the reference data in goldens/training.
#include "tests/support/reference.h"
#include "trainers/noise_predictor_trainer.h"

namespace lpnsr::testing {

// The tables of gradients are compared in float64: a single ReLU or L1 sign that flips by rounding, as it may on another CPU than the one
// that made the float32 tables, moves them by more than their tolerance, which is measured between float32 and float64 on that one.
void to_double(NoisePredictorTrainer::Networks& networks, Lpips& lpips);
Batch to_double(const Batch& batch);

// hr and lr in [0,1]: 0.5 + 0.25 coarse + 0.15 fine, and the 4x4 means of the unclipped hr + 0.05 noise, both clipped.
Batch reference_images(const std::string& name, int64_t batch, int64_t latent = 16);
// Unit-variance uniform noise, [batch,3,latent,latent].
at::Tensor reference_noise(const std::string& name, int64_t batch, int64_t latent = 16);
// NAME/eps_init, eps_3, eps_2, eps_1 in the chain's order of drawing (the unused last draw is zero).
DrawNormal reference_draws(const std::string& name, int64_t batch);

SwinUNetOptions reference_unet();
AutoencoderOptions reference_autoencoder(int64_t codes);
// Tiny networks with synthetic weights; the decoder's last layer doubled as the README says.
NoisePredictorTrainer::Networks reference_networks(int64_t codes, bool doubled_output = true);
// LPIPS(vgg) with synthetic weights, linear layers made positive.
Lpips reference_lpips();
// Fills the discriminator of `trainer` and divides u and v by their norms.
void fill_discriminator(Discriminator& discriminator, const std::string& salt = "shared/disc");
// The experiment of the cases: v1 (GAN on clamped images) or v2 (on latents, no clamp).
Experiment reference_experiment(bool latent_gan, int64_t disc_layers);

// L2 norms and projections sum(g * tensor(salt, "probe/" + key)) of tensors, float64.
at::Tensor norms_of(const std::vector<at::Tensor>& tensors);
at::Tensor probes_of(const std::vector<std::string>& keys, const std::vector<at::Tensor>& tensors);

}  // namespace lpnsr::testing
