#pragma once
// What is drawn for one picture: a plain struct, apart from the operations, so that a data set can be made again bit for bit.
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/random.h"
#include "degradation/options.h"

namespace lpnsr {

extern const std::vector<std::string>
    kernel_types;  // the first six in the order of DegradationStageOptions::kernel_prob, then sinc and none
extern const std::vector<std::string> resize_modes;  // area, bilinear, bicubic

struct KernelParameters {
  std::string type = "none";  // of kernel_types
  int64_t size = 0;           // taps a side before padding
  int64_t padded_size = 0;
  double sigma_x = 0, sigma_y = 0, theta = 0, beta = 0, omega = 0;
};

struct StageParameters {
  KernelParameters kernel;
  double resize_factor = 1.0;
  std::string resize_mode = "bicubic";  // of resize_modes
  std::string noise = "gaussian";       // gaussian | poisson
  double noise_level = 0;               // sigma of 255, or Poisson scale
  bool gray_noise = false;
  uint64_t noise_seed = 0;
  double jpeg_quality = 95;
};

struct DegradationParameters {
  std::string flavour = "resshift";
  std::string jpeg = "differentiable";
  int64_t scale = 4;
  StageParameters first;
  bool second_order = false;
  StageParameters second;
  bool final_sinc_before_jpeg = true;  // order of the last resize + sinc and the last JPEG
  KernelParameters final_sinc;
  std::string final_resize_mode = "bicubic";
  bool sharpen = false;
};

DegradationParameters draw_parameters(const DegradationOptions& options, RandomStream& stream);
// As the references draw for a batch: resize factors and modes, kind of noise, second order, second blur and the order of the last steps
// once a batch, kernels, noise levels, gray noise and qualities once a sample. Every sample of a batch starts from the same `shared`
// stream.
DegradationParameters draw_parameters_in_batch(const DegradationOptions& options, RandomStream shared, RandomStream& own);
std::vector<DegradationParameters> draw_batch(const DegradationOptions& options, int64_t size, RandomStream& stream);
nlohmann::json to_json(const DegradationParameters& parameters);
DegradationParameters parameters_from_json(const nlohmann::json& json);  // throws DataError naming the key

}  // namespace lpnsr
