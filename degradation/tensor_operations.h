#pragma once
// The chain's operations on batches of tensors, on any device, differentiable where the references are: what degrades on a GPU, and the
// plain form against which the fast operations on planes are timed. `pictures` is [N,3,H,W] in [0,1].
#include <string>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "degradation/blur.h"

namespace lpnsr {

// One kernel a sample, [N,k,k].
at::Tensor filter(const at::Tensor& pictures, const at::Tensor& kernels, Border border);

// As the functions of the same names on planes (degradation/resample.h).
at::Tensor resize_by(const at::Tensor& pictures, double factor, const std::string& mode);
at::Tensor resize_to(const at::Tensor& pictures, int64_t height, int64_t width, const std::string& mode);

// What differs between the samples of a batch: their sigma of 255 or Poisson scale [N], and which get noise common to their channels [N], 0
// or 1.
struct NoiseLevels {
  at::Tensor level, gray;
};
at::Tensor add_gaussian_noise(const at::Tensor& pictures, const NoiseLevels& levels, at::Generator generator);
// `flavour` as in degradation/noise.h.
at::Tensor add_poisson_noise(const at::Tensor& pictures, const NoiseLevels& levels, const std::string& flavour, at::Generator generator);

enum class JpegRounding { hard, soft };  // soft: round(v) + (v - round(v))^3, whose gradient is not zero
// What a JPEG file of each picture would hold, in quantisation steps: [N, blocks row by row, 64], chroma of half the size.
struct JpegCoefficients {
  at::Tensor luma, blue, red;
};
JpegCoefficients quantised_coefficients(const at::Tensor& pictures, const at::Tensor& quality, JpegRounding rounding);
// DiffJPEG of one quality a sample [N]; its gradient flows to the pictures.
at::Tensor compress_differentiable(const at::Tensor& pictures, const at::Tensor& quality, JpegRounding rounding);

}  // namespace lpnsr
