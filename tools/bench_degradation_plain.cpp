// The degradation as the published code writes it in tensors: colours transformed by tensor products over channels-last copies, distinct
// values counted by sorting, every quantity of a batch computed for all its samples. Whole batches share sizes and kinds of operation.
#include <torch/torch.h>

#include "core/random.h"
#include "degradation/jpeg_tables.h"
#include "degradation/tensor_operations.h"
#include "tools/bench_degradation.h"

namespace lpnsr {
namespace {

using Samples = std::span<const DegradationParameters>;

template <class Read>
at::Tensor numbers(Samples samples, const Read& read) {
  std::vector<float> values;
  for (const auto& sample : samples) values.push_back(static_cast<float>(read(sample)));
  return at::tensor(values);
}

at::Tensor blur(const at::Tensor& pictures, Samples samples, const KernelParameters& (*read)(const DegradationParameters&)) {
  std::vector<at::Tensor> kernels;
  for (const auto& sample : samples) {
    const Kernel kernel = make_kernel(read(sample), sample.flavour);
    kernels.push_back(at::tensor(kernel.taps, at::kDouble).reshape({kernel.size, kernel.size}).to(at::kFloat));
  }
  // Kernels of one size: the absent ones of the final sinc are unit pulses.
  int64_t side = 1;
  for (const auto& kernel : kernels) side = std::max(side, kernel.size(0));
  for (auto& kernel : kernels) {
    const int64_t margin = (side - kernel.size(0)) / 2;
    kernel = at::constant_pad_nd(kernel, {margin, margin, margin, margin}, 0.0);
  }
  return filter(pictures, at::stack(kernels), Border::reflect);
}

at::Tensor photons_by_sorting(const at::Tensor& levels) {
  std::vector<float> photons;
  for (const at::Tensor& sample : levels.unbind(0)) {
    photons.push_back(std::exp2(std::ceil(std::log2(static_cast<float>(std::get<0>(at::_unique2(sample)).numel())))));
  }
  return at::tensor(photons).view({-1, 1, 1, 1});
}

at::Tensor photon_noise(const at::Tensor& pictures, const at::Tensor& scale) {
  const at::Tensor rounded = (pictures * 255.0).round().clamp(0, 255) / 255.0;
  const at::Tensor photons = photons_by_sorting(rounded);
  return (at::poisson(rounded * photons) / photons - rounded) * scale;
}

at::Tensor poisson(const at::Tensor& pictures, Samples samples, const StageParameters& (*read)(const DegradationParameters&)) {
  const at::Tensor scale = numbers(samples, [&](const auto& p) { return read(p).noise_level; }).view({-1, 1, 1, 1});
  const at::Tensor gray = numbers(samples, [&](const auto& p) { return read(p).gray_noise; }).view({-1, 1, 1, 1});
  const at::Tensor colour_noise = photon_noise(pictures, scale);
  if (gray.sum().item<float>() == 0.0F) return (pictures + colour_noise).clamp(0, 1);
  const at::Tensor luma = at::tensordot(pictures, at::tensor({0.2989F, 0.587F, 0.114F}), {1}, {0}).unsqueeze(1);
  const at::Tensor gray_noise = photon_noise(luma, scale).expand_as(pictures);
  return (pictures + colour_noise * (1 - gray) + gray_noise * gray).clamp(0, 1);
}

at::Tensor gaussian(const at::Tensor& pictures, Samples samples, const StageParameters& (*read)(const DegradationParameters&)) {
  const at::Tensor sigma = numbers(samples, [&](const auto& p) { return read(p).noise_level / 255; }).view({-1, 1, 1, 1});
  const at::Tensor gray = numbers(samples, [&](const auto& p) { return read(p).gray_noise; }).view({-1, 1, 1, 1});
  at::Tensor noise = at::randn(pictures.sizes()) * sigma;
  if (gray.sum().item<float>() > 0.0F) {
    const at::Tensor shared = at::randn({pictures.size(2), pictures.size(3)}) * sigma;
    noise = noise * (1 - gray) + shared.expand_as(pictures) * gray;
  }
  return (pictures + noise).clamp(0, 1);
}

at::Tensor quantised(const at::Tensor& plane, const JpegTable& table, const at::Tensor& factor) {
  const int64_t n = plane.size(0), h = plane.size(1), w = plane.size(2);
  const at::Tensor axis = at::arange(8, at::kFloat);
  const at::Tensor cosines = at::cos(at::outer(2 * axis + 1, axis) * (M_PI / 16));  // [position, frequency]
  const at::Tensor norm = at::ones({8});
  norm[0] = M_SQRT1_2;
  const at::Tensor basis = at::einsum("xu,yv->xyuv", {cosines, cosines}).contiguous();
  const at::Tensor scale = at::outer(norm, norm) * 0.25;
  const at::Tensor blocks = plane.view({n, h / 8, 8, w / 8, 8}).permute({0, 1, 3, 2, 4}).contiguous().view({n, -1, 8, 8});
  const at::Tensor coefficients = scale * at::tensordot(blocks - 128, basis, {2, 3}, {0, 1});
  const at::Tensor steps = at::tensor(at::ArrayRef<float>(table)).view({1, 1, 8, 8}) * factor.view({n, 1, 1, 1});
  const at::Tensor kept = (coefficients / steps).round() * steps;
  const at::Tensor restored = at::tensordot(kept * scale, basis, {2, 3}, {2, 3}) + 128;
  return restored.view({n, h / 8, w / 8, 8, 8}).permute({0, 1, 3, 2, 4}).contiguous().view({n, h, w});
}

at::Tensor jpeg(const at::Tensor& pictures, const at::Tensor& quality) {
  const int64_t height = pictures.size(2), width = pictures.size(3);
  const at::Tensor factor = at::where(quality < 50, 50 / quality, 2 - quality / 50).clamp_min(1e-6);
  const at::Tensor padded = at::constant_pad_nd(pictures, {0, (16 - width % 16) % 16, 0, (16 - height % 16) % 16}, 0.0) * 255;
  const at::Tensor to_ycbcr =
      at::tensor({0.299F, 0.587F, 0.114F, -0.168736F, -0.331264F, 0.5F, 0.5F, -0.418688F, -0.081312F}).view({3, 3}).t();
  const at::Tensor ycbcr = at::tensordot(padded.permute({0, 2, 3, 1}), to_ycbcr, {3}, {0}) + at::tensor({0.0F, 128.0F, 128.0F});
  const auto half = [](const at::Tensor& plane) {
    return at::avg_pool2d(plane.unsqueeze(1), {2, 2}, {2, 2}, {0, 0}, false, false).squeeze(1);
  };
  const auto whole = [](const at::Tensor& plane) { return plane.repeat_interleave(2, 1).repeat_interleave(2, 2); };
  const at::Tensor y = quantised(ycbcr.select(3, 0).contiguous(), jpeg_luma_table(), factor);
  const at::Tensor cb = whole(quantised(half(ycbcr.select(3, 1)).contiguous(), jpeg_chroma_table(), factor));
  const at::Tensor cr = whole(quantised(half(ycbcr.select(3, 2)).contiguous(), jpeg_chroma_table(), factor));
  const at::Tensor to_rgb = at::tensor({1.0F, 0.0F, 1.402F, 1.0F, -0.344136F, -0.714136F, 1.0F, 1.772F, 0.0F}).view({3, 3}).t();
  const at::Tensor rgb = at::tensordot(at::stack({y, cb, cr}, 3) + at::tensor({0.0F, -128.0F, -128.0F}), to_rgb, {3}, {0});
  return rgb.permute({0, 3, 1, 2}).clamp(0, 255).div(255).narrow(2, 0, height).narrow(3, 0, width).contiguous();
}

}  // namespace

at::Tensor degrade_as_published(const at::Tensor& hr, Samples samples) {
  const torch::NoGradGuard no_grad;
  const DegradationParameters& batch = samples[0];
  const int64_t height = hr.size(2) / batch.scale, width = hr.size(3) / batch.scale;
  const auto first = [](const DegradationParameters& p) -> const StageParameters& { return p.first; };
  const auto second = [](const DegradationParameters& p) -> const StageParameters& { return p.second; };

  at::Tensor out = blur(hr, samples, [](const auto& p) -> const KernelParameters& { return p.first.kernel; });
  out = resize_by(out, batch.first.resize_factor, batch.first.resize_mode);
  out = batch.first.noise == "gaussian" ? gaussian(out, samples, first) : poisson(out, samples, first);
  out = jpeg(out.clamp(0, 1), numbers(samples, [](const auto& p) { return p.first.jpeg_quality; }));
  if (batch.second_order) {
    if (batch.second.kernel.type != "none")
      out = blur(out, samples, [](const auto& p) -> const KernelParameters& { return p.second.kernel; });
    const auto scaled = [&](int64_t side) { return static_cast<int64_t>(static_cast<double>(side) * batch.second.resize_factor); };
    out = resize_to(out, scaled(height), scaled(width), batch.second.resize_mode);
    out = batch.second.noise == "gaussian" ? gaussian(out, samples, second) : poisson(out, samples, second);
  }
  const auto to_size = [&] {
    out = resize_to(out, height, width, batch.final_resize_mode);
    out = blur(out, samples, [](const auto& p) -> const KernelParameters& { return p.final_sinc; });
  };
  if (batch.final_sinc_before_jpeg) to_size();
  out = jpeg(out.clamp(0, 1), numbers(samples, [](const auto& p) { return p.second.jpeg_quality; }));
  if (!batch.final_sinc_before_jpeg) to_size();
  return (out * 255.0).round().clamp(0, 255) / 255.0;
}

}  // namespace lpnsr
