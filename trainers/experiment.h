#pragma once
// One TOML file, one run: everything that `lpnsr train` and `lpnsr restore` read. Defaults are the paper's run with the published weights.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "core/config.h"
#include "degradation/options.h"
#include "diffusion/restorer.h"
#include "diffusion/system.h"
#include "losses/discriminator.h"
#include "trainers/data.h"
#include "trainers/learning_rate.h"

namespace lpnsr {

// AdamW, clipping and the moving average of what is trained.
struct OptimizerOptions {
  LearningRateOptions learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double clip_norm = 1.0;  // 0: no clipping
  double ema_rate = 0.999;
  void fields(FieldVisitor& v);
};

// Weights of Eq. 12, and of the other trainers' losses. A weight of 0 removes the term and its network.
struct LossOptions {
  double l1 = 1.0;
  double mse = 0.0;  // latent space, the denoiser's
  double lpips = 1.0;
  double gan = 0.1;
  double codebook = 1.0;  // the autoencoder's
  std::string lpips_network = "vgg";
  bool clamp_image =
      true;  // the decoded image is clamped to [-1,1] before the losses (the paper's checkpoint; the released second one does not)
  void fields(FieldVisitor& v);
};

struct GanOptions {
  std::string space = "image";  // image (the paper) | latent (the released second checkpoint)
  std::string objective = "hinge";
  double learning_rate = 5e-5;
  int64_t start_epoch = 2;   // epochs are counted from 1
  int64_t update_every = 2;  // iterations 0, 2, 4, … update the discriminator, the others the predictor; 1: both at each iteration
  DiscriminatorOptions discriminator;
  void fields(FieldVisitor& v);
};

// A one-step student of a ResShift teacher (SinSR, RSD, ResShift-VSD).
struct DistillationOptions {
  double inversion = 1.0;  // weights of SinSR's second and third term; 0 leaves the student's passes for it out
  double truth = 1.0;
  int64_t fake_updates = 5;                     // K: of the fake network for each of the student's (RSD)
  std::vector<int64_t> nodes = {4, 8, 12, 15};  // t_1 … t_N (paper's t, 1-based) that the student is trained at; the last is T
  std::string start = "truth";                  // truth: z_{t_n} is drawn around the true picture; prior: z_T around the LR one alone
  bool stop_gradient = false;                   // no gradient through the teacher and the fake network: variational score distillation
  bool normalise = true;                        // the student's loss over mean |f* - z0|, as SiD
  std::string features = "encoder";             // of the fake network, that the discriminator's head sees: encoder | middle
  void fields(FieldVisitor& v);
};

struct TrainingOptions {
  int64_t iterations = 200000;  // counts the discriminator's iterations too
  int64_t batch_size = 16;
  int64_t epoch_length = 0;            // iterations; 0: pictures / batch_size
  std::string initial_weights;         // of the trained network; empty: from scratch
  std::string recompute = "none";      // in the backward pass: none | attention (as published) | all
  std::string precision = "fp32";      // of convolutions and matrix products: fp32 | bf16 | fp16 (with a dynamic loss scale)
  bool cuda_graphs = false;            // on a GPU: passes of an iteration as a graph
  int64_t parts = 1;                   // of a process' share of the batch, one after the other: gradient accumulation
  std::string on_not_finite = "stop";  // stop | skip | roll_back
  int64_t patience = 1800;             // seconds to wait for another rank
  int64_t quantise_after = 0;  // autoencoder: iterations before the codes are placed on latents of unit scale; 0: quantised from the start
  int64_t restart_codes_every =
      0;  // autoencoder: codes that no latent chose since the last restart are moved onto latents of the batch; 0: never
  int64_t log_every = 50;
  int64_t checkpoint_every = 5000;
  int64_t keep_checkpoints = 2;
  int64_t sample_every = 5000;
  int64_t sample_pictures = 4;
  // `precision`, or float32 where the device does not compute in it (usable_precision).
  c10::ScalarType computed_in(c10::Device device) const;
  void fields(FieldVisitor& v);
};

// Held-out pictures, restored now and then with the moving average of the weights.
struct ValidationOptions {
  std::vector<std::string> folders;  // empty: no validation
  int64_t pictures = 0;              // the first ones of a fixed shuffle; 0: all
  int64_t every = 5000;
  std::vector<std::string> metrics = {"psnr", "ssim"};
  std::string best = "psnr";  // chooses RUN/best-….safetensors
  void fields(FieldVisitor& v);
};

struct Experiment {
  std::string trainer = "noise_predictor";  // noise_predictor | denoiser | autoencoder | sinsr | rsd
  int64_t seed = 12345;
  SystemOptions system;
  RestoreOptions restore;
  DegradationOptions degradation;
  DataOptions data;
  OptimizerOptions optimizer;
  LossOptions losses;
  GanOptions gan;
  DistillationOptions distillation;
  TrainingOptions training;
  ValidationOptions validation;
  void fields(FieldVisitor& v);
  // What a run makes: RUN/NAME.safetensors, which restoring then names among its weights.
  std::string product() const { return trainer == "sinsr" || trainer == "rsd" ? "student" : trainer; }
};

// Throws UsageError listing every fault (core/config.h).
Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

}  // namespace lpnsr
