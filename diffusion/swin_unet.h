#pragma once
// The UNet with shifted-window attention of ResShift (UNetModelSwin): the frozen denoiser f_theta and, with 9 inputs and 6 outputs, the
// trunk of the noise predictor. state_dict names equal the published checkpoints' (goldens/diffusion/manifests).
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include "core/config.h"
#include "core/graphed_passes.h"
#include "diffusion/checkpointing.h"
#include "diffusion/unet_blocks.h"

namespace lpnsr {

// Names of the published configurations; the defaults are the published denoiser's.
struct SwinUNetOptions {
  int64_t image_size = 64;  // latent side the network was trained on: decides windows and shifts
  int64_t in_channels = 3;  // without the LR condition
  int64_t model_channels = 160;
  int64_t out_channels = 3;
  int64_t norm_groups = 32;
  std::vector<int64_t> attention_resolutions = {64, 32, 16, 8};
  std::vector<int64_t> channel_mult = {1, 2, 2, 4};
  std::vector<int64_t> num_res_blocks = {2, 2, 2, 2};
  int64_t num_head_channels = 32;  // -1: num_heads instead
  int64_t num_heads = 1;
  bool use_scale_shift_norm = true;
  bool resblock_updown = false;
  bool conv_resample = true;
  int64_t swin_depth = 2;
  int64_t swin_embed_dim = 192;
  int64_t window_size = 8;
  double mlp_ratio = 4.0;
  bool patch_norm = false;
  bool cond_lq = true;
  int64_t lq_size = 64;
  double dropout = 0.0;
  int64_t noise_channels = 0;    // random maps beside x_t and the LR condition, the last inputs of the first layer (RSD's student: 1)
  void fields(FieldVisitor& v);  // one integer for num_res_blocks is accepted where the published file has one
};

class SwinUNetImpl : public torch::nn::Module {
 public:
  explicit SwinUNetImpl(const SwinUNetOptions& options);
  // x [N,in,H,W] already scaled, t int64 [N] (0-based index), lq [N,3,h,w] in [-1,1] (h = H, or larger by a power of two where lq_size says
  // so). t may hold one index for the whole batch, and lq is not looked at where cond_lq is off. Throws UsageError where a level's side is
  // no multiple of its window, with the sizes that would do.
  // `noise` [N,noise_channels,H,W] is needed where there are such channels.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, const at::Tensor& noise = {});
  // What the last of the input blocks makes of them, or the middle block after it: [N,C,H/f,W/f], C and f as below.
  at::Tensor features(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, bool after_middle = false);
  const SwinUNetOptions& options() const { return options_; }
  // These activations are computed again in the backward pass instead of being kept.
  void recompute(Recomputed what);

 protected:
  // The same network for other numbers of channels than the options say.
  SwinUNetImpl(const SwinUNetOptions& options, int64_t in_channels, int64_t out_channels);
  Conv2d& last_layer() { return out_conv_; }

 private:
  void build_condition();
  void build_levels(int64_t in_channels);
  void check(const at::Tensor& x, const at::Tensor& t, const at::Tensor& lq, const at::Tensor& noise) const;
  // The outputs of the input blocks, the stem's first.
  std::vector<at::Tensor> encode(const at::Tensor& x, const at::Tensor& lq, const at::Tensor& noise, const at::Tensor& embedding);
  static bool kept_for(const at::Tensor& t);
  at::Tensor sinusoid(const at::Tensor& t);  // its sinusoidal embedding beside the weights; sent to a GPU once for each step
  // SiLU(time embedding), [N,E]. A frozen network returns the same tensor for the same steps, so that its blocks keep what they make of it.
  at::Tensor embed(const at::Tensor& t);
  at::Tensor pass(const at::Tensor& x, const at::Tensor& lq, const at::Tensor& noise, const at::Tensor& embedding);
  at::Tensor run(UNetStage& stage, const at::Tensor& h, const at::Tensor& embedding) const;

  SwinUNetOptions options_;
  int64_t in_channels_;  // of x
  int64_t condition_channels_ = 0;
  bool recomputes_stages_ = false;
  torch::nn::Linear time1_{nullptr}, time2_{nullptr};
  struct Steps {
    at::Tensor t;
    c10::Device device;
    c10::ScalarType type;  // of what is computed from them
    bool operator==(const Steps& other) const { return device == other.device && type == other.type && at::equal(t, other.t); }
  };
  Kept<Steps, at::Tensor> embeddings_, sinusoids_;
  GraphedPasses passes_;
  std::vector<Conv2d> condition_convs_;
  std::vector<std::shared_ptr<Downsample>> condition_downsamples_;
  Conv2d stem_{nullptr}, out_conv_{nullptr};
  std::vector<std::shared_ptr<UNetStage>> down_, up_;  // input_blocks after the stem, output_blocks
  std::shared_ptr<UNetStage> middle_;
  GroupNorm out_norm_{nullptr};
};
TORCH_MODULE(SwinUNet);

// Of the deepest level's maps.
int64_t feature_channels(const SwinUNetOptions& options);
int64_t feature_reduction(const SwinUNetOptions& options);
// A new network of `options`, which differ in their noise_channels alone, with the weights of `teacher`: the columns of the first layer
// that are new are zero, so that at first noise changes nothing.
SwinUNet widened(const SwinUNet& teacher, SwinUNetOptions options);
// SinSR's ways to condition on a LR picture [N,3,h,w] whose size is not the latent's: twice as large it is folded to 12 channels
// (pixel_unshuffle), a quarter as large it is enlarged by nearest neighbours; [N,3 or 12,height,width]. A network that is trained so takes
// the result as channels of x (cond_lq off, in_channels with them). Throws UsageError for other sizes.
at::Tensor condition_of_size(const at::Tensor& lq, int64_t height, int64_t width);
// Sides that every level accepts are multiples of this.
int64_t side_multiple(const SwinUNetOptions& options);
// Sinusoidal embedding of t [N] -> [N,dim], cosines first.
at::Tensor timestep_embedding(const at::Tensor& t, int64_t dim, double max_period = 10000.0);

}  // namespace lpnsr
