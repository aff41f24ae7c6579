#pragma once
// NIQE (Mittal, Soundararajan, Bovik 2013): distance of a picture's natural-scene statistics from those of pristine pictures. Lower is
// better.
#include <filesystem>
#include <string>

#include "core/config.h"
#include "eval/plane.h"

namespace lpnsr {

struct NiqeOptions {
  // pyiqa: what the papers report; basicsr: BT.601 luma, one block is refused. Their scores may differ by more than 1.
  std::string flavour = "pyiqa";
  std::string luma = "default";  // yiq | bt601 | default: pyiqa's yiq, BasicSR's bt601
  int64_t crop = 0;              // pixels taken off each side first
  void fields(FieldVisitor& v);
};
NiqeOptions niqe_in_pi();                          // pyiqa's flavour on BT.601 luma with crop 4
std::string describe(const NiqeOptions& options);  // "pyiqa, luma yiq, crop 0"

struct NiqePristine {
  at::Tensor mean;        // float64 [36]
  at::Tensor covariance;  // float64 [36,36]
};
// pyiqa's niqe_modelparameters.mat, BasicSR's niqe_pris_params.npz, or a .safetensors with the latter's names. Throws DataError.
NiqePristine read_niqe_pristine(const std::filesystem::path& path);

// Local mean removed, divided by the local deviation + 1 (the paper's Eq. 1), in the precision of the flavour.
Plane normalised_luminance(const Plane& luma, const NiqeOptions& options);
// [blocks, 36] of luma in 0..255, cut to whole blocks of 96x96; blocks column by column.
at::Tensor niqe_features(const Plane& luma, const NiqeOptions& options);
// The paper's Eq. 10. NaN where no block has a value.
double niqe_distance(const at::Tensor& features, const NiqePristine& pristine);

// RGB [3,H,W] in [0,1]. Throws UsageError for pictures of less than 96 pixels a side.
double niqe(const at::Tensor& image, const NiqePristine& pristine, const NiqeOptions& options = {});

}  // namespace lpnsr
