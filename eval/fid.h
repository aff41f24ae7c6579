#pragma once
// The Fréchet Inception distance (Heusel et al. 2017) between two sets of pictures. Lower is better.
#include <string>

#include "core/config.h"
#include "eval/inception.h"

namespace lpnsr {

struct FidOptions {
  // How pictures become 299x299: clean (Parmar et al. 2022, pyiqa's default), legacy_pytorch (InvSR's), legacy_tensorflow.
  std::string mode = "clean";
  void fields(FieldVisitor& v);
};

// RGB [3,H,W] in [0,1] -> [3,299,299] in 0..255.
at::Tensor fid_resized(const at::Tensor& image, const FidOptions& options);
// Of pictures that were resized so: [N,3,299,299] -> [N,2048].
at::Tensor fid_features(const InceptionV3& network, const at::Tensor& resized, const FidOptions& options);

// Of two sets of features [N,D] and [M,D], each of two or more: |m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½, in float64. Exact for sets
// smaller than their dimension too.
double frechet_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace lpnsr
