#pragma once
// What an LPNSR system is made of: schedule, networks and their weights, pre-upsampler, sampler. The experiment files' common part.
#include <filesystem>
#include <optional>
#include <string>

#include "core/config.h"
#include "core/state_dict.h"
#include "diffusion/autoencoder.h"
#include "diffusion/noise_predictor.h"
#include "diffusion/rrdbnet.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "diffusion/swin_unet.h"
#include "diffusion/swinir.h"

namespace lpnsr {

// File names are looked for beside the experiment file's working folder first, then below the weights folder.
struct WeightOptions {
  std::string denoiser = "resshift_realsrx4_s4_v3.pth";
  std::string noise_predictor = "noise_predictor.pth";
  std::string teacher = "resshift_realsrx4_s15_v1.pth";  // of a distillation
  std::string autoencoder = "autoencoder_vq_f4.pth";
  std::string swinir = "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth";
  std::string bsrgan = "BSRGAN.pth";
  std::string realesrgan = "RealESRGAN_x4plus.pth";
  void fields(FieldVisitor& v);
};

struct SystemOptions {
  ScheduleOptions schedule;
  SwinUNetOptions denoiser;
  SwinUNetOptions noise_predictor;
  AutoencoderOptions autoencoder;
  SwinIROptions swinir;
  RRDBNetOptions rrdbnet;
  std::string pre_upsampler = "swinir";  // swinir | bsrgan | realesrgan | bicubic
  SamplerOptions sampling;
  WeightOptions weights;
  void fields(
      FieldVisitor& v);  // [schedule] [denoiser] [noise_predictor] [autoencoder] [swinir] [rrdbnet] pre_upsampler [sampling] [weights]
};

// --weights-dir, else $LPNSR_WEIGHTS, else "weights".
std::filesystem::path weights_folder(const std::string& option);
// The file itself if `name` exists as a path, else below `folder`. Throws Error that says what the file is for, where it was looked for
// and, for published names, where it comes from.
std::filesystem::path find_weights(const std::string& name, const std::filesystem::path& folder, const std::string& purpose);

// A file that restoring with `options` reads.
struct NeededWeights {
  std::string WeightOptions::*file;
  std::string purpose;
};
// `pre_upsample_only`: the start of the chain is all that is wanted.
std::vector<NeededWeights> needed_weights(const SystemOptions& options, bool pre_upsample_only);

// Copies the weights of the file `name` (found as above; keys renamed by `rename` first where given) into `module`, which is then in eval
// mode and without gradients.
void load_frozen(torch::nn::Module& module, const std::string& name, const std::filesystem::path& folder, const std::string& purpose,
                 StateDict (*rename)(const StateDict&) = nullptr);

// Makes a network ready to be used as it is: eval mode, no gradients, weights and floating-point buffers in `precision` where given (but
// for a quantiser's codes: these are compared, not multiplied) and, on the CPU, in the layout that convolutions read.
void freeze(torch::nn::Module& network, std::optional<c10::ScalarType> precision = std::nullopt);

// Built, loaded strictly, in eval mode, without gradients.
SwinUNet load_denoiser(const SystemOptions& options, const std::filesystem::path& folder);
NoisePredictor load_noise_predictor(const SystemOptions& options, const std::filesystem::path& folder);
Autoencoder load_autoencoder(const SystemOptions& options, const std::filesystem::path& folder);

}  // namespace lpnsr
