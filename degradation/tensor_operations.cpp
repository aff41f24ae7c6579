#include "degradation/tensor_operations.h"

#include <cmath>
#include <numbers>

#include <ATen/Functions.h>

#include "degradation/jpeg_tables.h"

namespace lpnsr {
namespace {

// LibTorch's own reflection refuses pictures smaller than the margin.
at::Tensor mirrored(const at::Tensor& pictures, int64_t dimension, int64_t margin) {
  std::vector<int64_t> places;
  for (int64_t i = -margin; i < pictures.size(dimension) + margin; ++i) places.push_back(reflected(i, pictures.size(dimension)));
  return pictures.index_select(dimension, at::tensor(places).to(pictures.device()));
}

at::Tensor a_sample(const at::Tensor& values) { return values.view({-1, 1, 1, 1}); }

at::Tensor levels_of(const at::Tensor& pictures) { return (pictures * 255.0).round().clamp(0.0, 255.0); }

// 2^ceil(log2(number of distinct values)) of each sample.
at::Tensor photons_at_white(const at::Tensor& levels) {
  const at::Tensor seen = at::zeros({levels.size(0), 256}, levels.options());
  seen.scatter_(1, levels.flatten(1).to(at::kLong), 1.0);
  return a_sample(seen.sum(1).log2().ceil().exp2());
}

// The noise that photon counting adds to `counted`.
at::Tensor photon_noise(const at::Tensor& counted, at::Generator generator) {
  const at::Tensor levels = levels_of(counted), unit = photons_at_white(levels), rounded = levels / 255.0;
  return at::poisson(rounded * unit, std::move(generator)) / unit - rounded;
}

at::Tensor luma_of(const at::Tensor& pictures) {
  return 0.2989 * pictures.narrow(1, 0, 1) + 0.587 * pictures.narrow(1, 1, 1) + 0.114 * pictures.narrow(1, 2, 1);
}

// [N,1,H,W] -> [N,H/8 * W/8,64], block by block, and back.
at::Tensor blocks_of(const at::Tensor& plane) {
  const int64_t n = plane.size(0), h = plane.size(2) / 8, w = plane.size(3) / 8;
  return plane.reshape({n, h, 8, w, 8}).permute({0, 1, 3, 2, 4}).reshape({n, h * w, 64});
}
at::Tensor plane_of(const at::Tensor& blocks, int64_t height, int64_t width) {
  return blocks.reshape({blocks.size(0), height / 8, width / 8, 8, 8}).permute({0, 1, 3, 2, 4}).reshape({blocks.size(0), 1, height, width});
}

// [64,64]: a block's pixels (row by row) times this are its orthonormal cosine coefficients.
at::Tensor cosine_basis(const at::TensorOptions& options) {
  const at::Tensor index = at::arange(8, at::kDouble);
  at::Tensor cosines = at::cos(at::outer(2 * index + 1, index) * (std::numbers::pi / 16)) * 0.5;  // [position, frequency]
  cosines.select(1, 0) *= std::numbers::sqrt2 / 2;
  return at::kron(cosines, cosines).to(options);
}

at::Tensor rounded(const at::Tensor& values, JpegRounding rounding) {
  const at::Tensor nearest = values.round();
  return rounding == JpegRounding::hard ? nearest : nearest + (values - nearest).pow(3);
}

// [N,1,64]: what a sample's coefficients are multiples of. Quality 100 has steps of zero; steps far below a level's rounding do the same
// without dividing by zero.
at::Tensor steps_of(const JpegTable& table, const at::Tensor& quality) {
  const at::Tensor factor = at::where(quality < 50.0, 50.0 / quality, 2.0 - quality / 50.0).clamp_min(1e-6);
  return at::tensor(at::ArrayRef<float>(table), quality.options()).view({1, 1, 64}) * factor.view({-1, 1, 1});
}

// A side in whole units of 4:2:0.
int64_t in_units(int64_t side) { return (side + 15) / 16 * 16; }

}  // namespace

at::Tensor filter(const at::Tensor& pictures, const at::Tensor& kernels, Border border) {
  const int64_t n = pictures.size(0), channels = pictures.size(1), side = kernels.size(1), margin = side / 2;
  const at::Tensor padded = border == Border::reflect ? mirrored(mirrored(pictures, 2, margin), 3, margin)
                                                      : at::constant_pad_nd(pictures, {margin, margin, margin, margin}, 0.0);
  const at::Tensor a_channel = kernels.unsqueeze(1).expand({n, channels, side, side}).reshape({n * channels, 1, side, side});
  const at::Tensor joined = padded.reshape({1, n * channels, padded.size(2), padded.size(3)});
  return at::conv2d(joined, a_channel, at::Tensor(), {1, 1}, at::IntArrayRef{0, 0}, {1, 1}, n * channels).view_as(pictures);
}

at::Tensor resize_by(const at::Tensor& pictures, double factor, const std::string& mode) {
  if (factor == 1.0) return pictures;
  const auto scaled = [factor](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::floor(static_cast<double>(side) * factor)));
  };
  const int64_t height = scaled(pictures.size(2)), width = scaled(pictures.size(3));
  if (mode == "area") return at::adaptive_avg_pool2d(pictures, {height, width});
  return mode == "bilinear" ? at::upsample_bilinear2d(pictures, {height, width}, false, factor, factor)
                            : at::upsample_bicubic2d(pictures, {height, width}, false, factor, factor);
}

at::Tensor resize_to(const at::Tensor& pictures, int64_t height, int64_t width, const std::string& mode) {
  if (height == pictures.size(2) && width == pictures.size(3)) return pictures;
  if (mode == "area") return at::adaptive_avg_pool2d(pictures, {height, width});
  return mode == "bilinear" ? at::upsample_bilinear2d(pictures, {height, width}, false)
                            : at::upsample_bicubic2d(pictures, {height, width}, false);
}

at::Tensor add_gaussian_noise(const at::Tensor& pictures, const NoiseLevels& levels, at::Generator generator) {
  const at::Tensor gray = a_sample(levels.gray);
  const at::Tensor shared = at::randn({pictures.size(0), 1, pictures.size(2), pictures.size(3)}, generator, pictures.options());
  const at::Tensor own = at::randn(pictures.sizes(), generator, pictures.options());
  return (pictures + (gray * shared + (1 - gray) * own) * a_sample(levels.level / 255.0)).clamp(0.0, 1.0);
}

at::Tensor add_poisson_noise(const at::Tensor& pictures, const NoiseLevels& levels, const std::string& flavour, at::Generator generator) {
  const at::Tensor gray = a_sample(levels.gray), level = a_sample(levels.level);
  if (flavour == "lpnsr") {
    const at::Tensor unit = level * 255.0, seen = gray * pictures.mean(1, true) + (1 - gray) * pictures;
    const at::Tensor counts = at::poisson(seen * unit, generator);
    return (gray * counts.narrow(1, 0, 1) + (1 - gray) * counts).div(unit).clamp(0.0, 1.0);
  }
  const at::Tensor shared = photon_noise(luma_of(pictures), generator), own = photon_noise(pictures, generator);
  return (pictures + (gray * shared + (1 - gray) * own) * level).clamp(0.0, 1.0);
}

JpegCoefficients quantised_coefficients(const at::Tensor& pictures, const at::Tensor& quality, JpegRounding rounding) {
  const int64_t height = pictures.size(2), width = pictures.size(3);
  const at::Tensor rgb = at::constant_pad_nd(pictures, {0, in_units(width) - width, 0, in_units(height) - height}, 0.0) * 255.0;
  const at::Tensor basis = cosine_basis(pictures.options()), q = quality.to(pictures.options());
  const at::Tensor r = rgb.narrow(1, 0, 1), g = rgb.narrow(1, 1, 1), b = rgb.narrow(1, 2, 1);
  const auto coefficients = [&](const at::Tensor& plane, const JpegTable& table) {
    return rounded(at::matmul(blocks_of(plane) - 128.0, basis) / steps_of(table, q), rounding);
  };
  const auto halved = [](const at::Tensor& chroma) { return at::avg_pool2d(chroma, {2, 2}); };
  return {coefficients(0.299 * r + 0.587 * g + 0.114 * b, jpeg_luma_table()),
          coefficients(halved(-0.168736 * r - 0.331264 * g + 0.5 * b + 128.0), jpeg_chroma_table()),
          coefficients(halved(0.5 * r - 0.418688 * g - 0.081312 * b + 128.0), jpeg_chroma_table())};
}

at::Tensor compress_differentiable(const at::Tensor& pictures, const at::Tensor& quality, JpegRounding rounding) {
  const auto [luma, blue, red] = quantised_coefficients(pictures, quality, rounding);
  const at::Tensor q = quality.to(pictures.options());
  const int64_t height = in_units(pictures.size(2)), width = in_units(pictures.size(3));
  const at::Tensor inverse = cosine_basis(pictures.options()).t();
  const auto chroma = [&](const at::Tensor& coefficients) {
    const at::Tensor plane = plane_of(at::matmul(coefficients * steps_of(jpeg_chroma_table(), q), inverse), height / 2, width / 2);
    return plane.repeat_interleave(2, 2).repeat_interleave(2, 3);
  };
  const at::Tensor y = plane_of(at::matmul(luma * steps_of(jpeg_luma_table(), q), inverse) + 128.0, height, width);
  const at::Tensor cb = chroma(blue), cr = chroma(red);
  const at::Tensor restored = at::cat({y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb}, 1);
  return restored.narrow(2, 0, pictures.size(2)).narrow(3, 0, pictures.size(3)).clamp(0.0, 255.0).contiguous() / 255.0;
}

}  // namespace lpnsr
