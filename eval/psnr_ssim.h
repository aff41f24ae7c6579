#pragma once
// PSNR and SSIM in the flavours that published numbers were made with. They differ by up to 1.3 dB, so a score is always named with its
// protocol.
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/config.h"

namespace lpnsr {

struct PsnrSsimOptions {
  // lpnsr: the released test program (unrounded Y of BT.601's studio range; its SSIM map lacks the last row and column).
  // basicsr: the same Y, whole SSIM map. resshift: Y rounded to integers. pyiqa, pyiqa_yiq: pyiqa's with color_space ycbcr and yiq.
  std::string protocol = "lpnsr";
  std::string channel = "y";  // y | rgb
  int64_t crop = -1;          // pixels taken off each side first; -1: as the protocol does by default (4; pyiqa 0)
  void fields(FieldVisitor& v);
};

const std::vector<std::string>& psnr_ssim_protocols();
// Throws UsageError for an unknown protocol or channel; fills in the protocol's crop.
PsnrSsimOptions checked(PsnrSsimOptions options);
std::string describe(const PsnrSsimOptions& options);  // "lpnsr, Y, crop 4"

// Pictures [3,H,W] with values k/255 as read from 8-bit files. Computed in float64 (pyiqa: on its float32 luma). Equal pictures give
// infinity, but 80 dB in pyiqa. Throws UsageError where the sizes differ or the pictures are too small.
double psnr(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options = {});
double ssim(const at::Tensor& image, const at::Tensor& reference, const PsnrSsimOptions& options = {});

}  // namespace lpnsr
