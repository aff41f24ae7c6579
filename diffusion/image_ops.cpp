#include "diffusion/image_ops.h"

#include <bit>

namespace lpnsr {

int64_t round_up(int64_t length, int64_t multiple) { return (length + multiple - 1) / multiple * multiple; }

int64_t next_power_of_two(int64_t length) { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(length))); }

std::vector<int64_t> mirrored_indices(int64_t length, int64_t target, Mirror mirror) {
  const int64_t period = std::max<int64_t>(1, mirror == Mirror::repeat_edge ? 2 * length : 2 * (length - 1));
  std::vector<int64_t> indices(static_cast<size_t>(target));
  for (int64_t i = 0; i < target; ++i) {
    const int64_t phase = i % period;
    const int64_t turned = mirror == Mirror::repeat_edge ? period - 1 - phase : period - phase;
    indices[static_cast<size_t>(i)] = phase < length ? phase : turned;
  }
  return indices;
}

at::Tensor pad_mirrored(const at::Tensor& image, int64_t height, int64_t width, Mirror mirror) {
  const auto continued = [mirror](const at::Tensor& picture, int64_t dim, int64_t target) {
    if (picture.size(dim) == target) return picture;
    const auto indices = torch::tensor(mirrored_indices(picture.size(dim), target, mirror), torch::kInt64);
    return picture.index_select(dim, indices.to(picture.device()));
  };
  return continued(continued(image, -2, height), -1, width);
}

at::Tensor pad_for_restoring(const at::Tensor& image, int64_t multiple, bool power_of_two) {
  const int64_t height = round_up(image.size(-2), multiple), width = round_up(image.size(-1), multiple);
  const auto padded = pad_mirrored(image, height, width, Mirror::repeat_edge);
  if (!power_of_two) return padded;
  return pad_mirrored(padded, next_power_of_two(height), next_power_of_two(width), Mirror::skip_edge);
}

at::Tensor wavelet_blur(const at::Tensor& image, int64_t radius) {
  const auto smooth = [radius](const at::Tensor& padded, int64_t dim) {
    const int64_t length = padded.size(dim) - 2 * radius;
    return padded.narrow(dim, 0, length) * 0.25 + padded.narrow(dim, radius, length) * 0.5 + padded.narrow(dim, 2 * radius, length) * 0.25;
  };
  return smooth(smooth(at::replication_pad2d(image, {radius, radius, radius, radius}), -1), -2);
}

Wavelets wavelet_decomposition(const at::Tensor& image, int64_t levels) {
  Wavelets bands{torch::zeros_like(image), image};
  for (int64_t level = 0; level < levels; ++level) {
    const auto low = wavelet_blur(bands.low, int64_t{1} << level);
    bands.high += bands.low - low;
    bands.low = low;
  }
  return bands;
}

at::Tensor wavelet_color_fix(const at::Tensor& content, const at::Tensor& style) {
  return wavelet_decomposition(content).high + wavelet_decomposition(style).low;
}

namespace {

// The floor under the root keeps the quotient of two flat channels finite.
at::Tensor floored_deviation(const at::Tensor& variance) { return (variance + 1e-5).sqrt(); }

}  // namespace

ChannelMoments channel_moments(const at::Tensor& image) {
  const auto mean = image.mean({-2, -1}, /*keepdim=*/true);
  const bool several = image.size(-1) * image.size(-2) > 1;
  return {mean, floored_deviation(several ? image.var({-2, -1}, /*unbiased=*/true, /*keepdim=*/true) : torch::zeros_like(mean))};
}

void MomentSums::add(const at::Tensor& rows) {
  const auto values = rows.to(torch::kFloat64);
  const auto sum = values.sum({-2, -1}, /*keepdim=*/true), squares = values.square().sum({-2, -1}, /*keepdim=*/true);
  sum_ = count_ == 0 ? sum : sum_ + sum;
  squares_ = count_ == 0 ? squares : squares_ + squares;
  count_ += rows.size(-2) * rows.size(-1);
}

ChannelMoments MomentSums::moments() const {
  const auto count = static_cast<double>(count_);
  const auto mean = sum_ / count;
  const auto variance = ((squares_ - sum_ * mean) / std::max(1.0, count - 1)).clamp_min(0);
  return {mean.to(torch::kFloat32), floored_deviation(variance).to(torch::kFloat32)};
}

at::Tensor adain_color_fix(const at::Tensor& content, const ChannelMoments& of_content, const ChannelMoments& of_style) {
  return (content - of_content.mean) / of_content.deviation * of_style.deviation + of_style.mean;
}

at::Tensor adain_color_fix(const at::Tensor& content, const at::Tensor& style) {
  return adain_color_fix(content, channel_moments(content), channel_moments(style));
}

}  // namespace lpnsr
