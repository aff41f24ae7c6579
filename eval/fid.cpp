#include "eval/fid.h"

#include <cmath>

#include <ATen/Functions.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr int64_t fid_side = 299;

// TensorFlow 1's bilinear: sample i lies at i * in / out, without half-pixel centres. [out,in]
at::Tensor corner_matrix(int64_t in, int64_t out) {
  auto matrix = at::zeros({out, in}, at::kFloat);
  auto weight = matrix.accessor<float, 2>();
  const float step = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t i = 0; i < out; ++i) {
    const float place = static_cast<float>(i) * step;
    const auto low = static_cast<int64_t>(std::floor(place));
    const float share = place - static_cast<float>(low);
    weight[i][low] += 1 - share;
    weight[i][std::min(low + 1, in - 1)] += share;
  }
  return matrix;
}

// A matrix R with RᵀR = the covariance (n-1): the triangular factor of the centred, scaled features.
at::Tensor covariance_root(const at::Tensor& features) {
  const auto centred = (features - features.mean(0, true)) / std::sqrt(static_cast<double>(features.size(0) - 1));
  return features.size(0) > features.size(1) ? std::get<1>(at::linalg_qr(centred, "r")) : centred;
}

}  // namespace

void FidOptions::fields(FieldVisitor& v) {
  v.choice("mode", mode, {"clean", "legacy_pytorch", "legacy_tensorflow"}, "how pictures become 299x299");
}

at::Tensor fid_resized(const at::Tensor& image, const FidOptions& options) {
  const auto values = (image.to(at::kCPU, at::kFloat) * 255.0F).contiguous();
  if (options.mode == "legacy_tensorflow") {
    return at::matmul(at::matmul(corner_matrix(values.size(1), fid_side), values), corner_matrix(values.size(2), fid_side).t());
  }
  const auto batch = values.unsqueeze(0);
  if (options.mode == "legacy_pytorch") return at::upsample_bilinear2d(batch, {fid_side, fid_side}, false).squeeze(0);
  // PIL's bicubic, whose antialiased kernel has a = -0.5.
  return at::_upsample_bicubic2d_aa(batch, {fid_side, fid_side}, false).squeeze(0).clamp(0, 255);
}

at::Tensor fid_features(const InceptionV3& network, const at::Tensor& resized, const FidOptions& options) {
  return network(options.mode == "legacy_pytorch" ? resized / 255 * 2 - 1 : (resized - 128) / 128);
}

double frechet_distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.size(0) < 2 || b.size(0) < 2) throw UsageError("FID compares two sets of at least two pictures each");
  const auto x = a.to(at::kCPU, at::kDouble), y = b.to(at::kCPU, at::kDouble);
  const auto r = covariance_root(x), s = covariance_root(y);
  // S1 S2 = RᵀR SᵀS has the eigenvalues of (R Sᵀ)(R Sᵀ)ᵀ; the roots of those are the singular values of R Sᵀ.
  const double mixed = at::linalg_svdvals(r.mm(s.t())).sum().item<double>();
  const double means = (x.mean(0) - y.mean(0)).square().sum().item<double>();
  return means + r.square().sum().item<double>() + s.square().sum().item<double>() - 2 * mixed;
}

}  // namespace lpnsr
