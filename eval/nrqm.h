#pragma once
// NRQM (Ma et al. 2017, higher is better) and the Perceptual Index of the PIRM challenge (Blau et al. 2018, lower is better).
#include <array>
#include <filesystem>

#include "core/config.h"
#include "eval/niqe.h"
#include "eval/plane.h"
#include "eval/random_forest.h"

namespace lpnsr {

struct NrqmOptions {
  std::string luma = "yiq";  // yiq | bt601
  int64_t crop = 0;          // pixels taken off each side first
  void fields(FieldVisitor& v);
};
std::string describe(const NrqmOptions& options);  // "luma yiq, crop 0"

struct NrqmModel {
  std::array<RandomForest, 3> forests;  // of the frequency, spatial and singular-value features
  std::array<double, 4> linear{};
};
// NRQM_model.mat. Throws DataError that names the file.
NrqmModel read_nrqm_model(const std::filesystem::path& path);

// Of luma in 0..255, at least 45 pixels a side. Everything in float64: in flat blocks the ratios divide tiny numbers by 1e-7.
std::vector<double> nrqm_frequency_features(const Plane& luma);  // 18: six of local DCTs for each level of the pyramid below
std::vector<double> nrqm_spatial_features(const Plane& luma);    // 45: wavelet bands under a Gaussian scale mixture
std::vector<double> nrqm_singular_values(const Plane& luma);     // 75: of the 5x5 blocks of each level
std::vector<Plane> nrqm_pyramid(const Plane& luma);              // luma / 255, and twice smoothed and halved

struct SteerablePyramid;
// The twelve bands of the spatial features, [level * 6 + orientation], each divided by its local energy.
std::vector<Plane> nrqm_normalised_bands(const SteerablePyramid& pyramid);

double nrqm_score(const NrqmModel& model, const std::array<std::vector<double>, 3>& features);

// RGB [3,H,W] in [0,1]. Throw UsageError for pictures that are too small.
double nrqm(const at::Tensor& image, const NrqmModel& model, const NrqmOptions& options = {});
double perceptual_index(const at::Tensor& image, const NrqmModel& model, const NiqePristine& pristine);

}  // namespace lpnsr
