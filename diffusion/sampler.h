#pragma once
// Algorithm 2: the reverse chain of 1 to T steps whose random noise is replaced by the predictor's.
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>

#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/process.h"
#include "diffusion/swin_unet.h"

namespace lpnsr {

struct SamplerOptions {
  // chain: Algorithm 2. one_step: the prediction at T is the result (SinSR, RSD). deterministic: SinSR's teacher, x_{t-1} without noise.
  std::string method = "chain";
  int64_t steps = 0;                   // 0: all T; n < T keeps the T-step tables and starts at index n-1 (Eq. 3)
  int64_t start_step = 0;              // paper's t to start at; 0: `steps`
  std::string noise = "predictor";     // predictor | random | optimal (x0 = E(reference)) | approximate (x0 = E(pre-upsampled image))
  std::vector<int64_t> predictor_off;  // paper's t at which the predictor is replaced by a random draw (Table 4)
  bool sample_noise = true;            // mean + std eps, as published; false: the mean (the paper's deterministic g_w)
  // What the predictor sees besides t; the others are zeros to it (an ablation: Section 3.3 derives that the optimal noise needs all).
  std::vector<std::string> predictor_inputs = {"x_t", "x0", "lq"};
  void fields(FieldVisitor& v);
};

// One state of the chain, for figures and tests. index = paper's t - 1.
struct ChainState {
  int64_t index = 0;
  at::Tensor x_t, x_t_scaled, pred_x0, noise;  // noise: what multiplies the posterior's deviation; at index 0 the unused draw
};

// Standard normal maps of the given shape, in the order of the published code (goldens/diffusion, 9): the denoiser's noise input first
// where it has one, then x_T's, then one for every index from the start down to 0, whether it is used or not (deterministic: none of
// these).
using DrawNormal = std::function<at::Tensor(at::IntArrayRef shape)>;

struct SamplerInputs {
  at::Tensor lq;         // LR image [N,3,h,w] in [-1,1]: the condition of both networks
  at::Tensor y0;         // latent of the pre-upsampled image [N,3,h,w]
  at::Tensor reference;  // latent of the true image, for noise = optimal only
  // Maps with a larger side are taken through the networks in overlapping patches of this side, blended after each of them, while the
  // chain itself and its draws stay whole: what two patches share they see alike. 0: never.
  int64_t patch = 0;
  int64_t patch_batch = 1;  // patches at a time
};

// Paper's t of the first state (1-based). Throws UsageError where `options` do not fit a chain of `chain_steps`.
int64_t first_step(const SamplerOptions& options, int64_t chain_steps);
// How often a picture goes through each network on its way from T.
struct NetworkPasses {
  int64_t denoiser = 0, predictor = 0;
};
NetworkPasses network_passes(const SamplerOptions& options, int64_t chain_steps);
inline bool needs_predictor(const SamplerOptions& options, int64_t chain_steps) {
  return network_passes(options, chain_steps).predictor > 0;
}

class Sampler {
 public:
  // `predictor` may be null where the noise does not come from it. Throws UsageError for impossible options.
  Sampler(ResidualShift process, SwinUNet denoiser, NoisePredictor predictor, SamplerOptions options);
  // Latent x0 [N,3,h,w], before decoding. Gradients are recorded as the caller's mode says: Algorithm 1
  // unrolls this same chain with them. `observe` sees every state.
  at::Tensor sample(const SamplerInputs& inputs, const DrawNormal& draw, const std::function<void(const ChainState&)>& observe = {}) const;
  const SamplerOptions& options() const { return options_; }
  std::vector<int64_t> draws() const;  // that sample() makes: the channels of each

 private:
  at::Tensor noise_at(int64_t index, const at::Tensor& eps, const ChainState& state, const at::Tensor& mean, const SamplerInputs& inputs,
                      const at::Tensor& t) const;

  ResidualShift process_;
  SwinUNet denoiser_;
  NoisePredictor predictor_;
  SamplerOptions options_;
  int64_t first_step_;
};

}  // namespace lpnsr
