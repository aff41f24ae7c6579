#include "core/group_norm.h"

#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include "core/channels_last.h"
#include "core/gradients.h"
#include "core/pixels.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Mean and 1 / standard deviation of each group, [N,G] float64 each.
struct Statistics {
  at::Tensor mean, rstd;
};

// Of each picture's groups [N,G] one value for each of its channels.
template <class T>
std::vector<float> for_channels(const T* of_groups, int64_t batch, int64_t groups, int64_t channels) {
  std::vector<float> values(static_cast<size_t>(batch * channels));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(of_groups[static_cast<int64_t>(i) / (channels / groups)]);
  return values;
}

// From here to the end of gradient_terms() plain loops: on few numbers LibTorch's operators would take longer than the sums over the map.

// From sums of differences to `near` [N,G] float32, which keeps the sum of squares from cancelling where it is near the means.
Statistics statistics_around(const at::Tensor& near, const at::Tensor& x, double eps) {
  const int64_t batch = x.size(0), channels = x.size(1), groups = near.size(1), width = channels / groups;
  const auto count = static_cast<double>(x.size(2) * x.size(3) * width);
  const auto* pivot = near.const_data_ptr<float>();
  const auto pivots = for_channels(pivot, batch, groups, channels);
  const auto map = map_of(x);
  const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* square) {
    kernels::kernels()->moments(map, picture, first, last, pivots.data() + picture * channels, sum, square);
  });
  Statistics s{at::empty({batch, groups}, at::kDouble), at::empty({batch, groups}, at::kDouble)};
  auto *mean = s.mean.data_ptr<double>(), *rstd = s.rstd.data_ptr<double>();
  for (int64_t i = 0; i < batch * groups; ++i) {
    const auto of_group = [first = i * width, last = (i + 1) * width](const std::vector<double>& values) {
      return std::accumulate(values.begin() + first, values.begin() + last, 0.0);
    };
    const double offset = of_group(sums.one) / count, variance = std::max(of_group(sums.other) / count - offset * offset, 0.0);
    mean[i] = offset + pivot[i];
    rstd[i] = 1.0 / std::sqrt(variance + eps);
  }
  return s;
}

// `near` with the mean in place of what lies far off it; undefined where nothing does.
at::Tensor nearer(const at::Tensor& near, const Statistics& s) {
  constexpr double kDeviations = 4;
  const auto *mean = s.mean.const_data_ptr<double>(), *rstd = s.rstd.const_data_ptr<double>();
  at::Tensor better;
  for (int64_t i = 0; i < near.numel(); ++i) {
    if (!(std::abs(mean[i] - near.const_data_ptr<float>()[i]) * rstd[i] > kDeviations)) continue;
    if (!better.defined()) better = near.clone();
    better.data_ptr<float>()[i] = static_cast<float>(mean[i]);
  }
  return better;
}

// Means of the groups' values at each picture's first pixel, [N,G] float32, of a dense channels-last map.
at::Tensor first_means(const at::Tensor& x, int64_t groups) {
  const int64_t batch = x.size(0), width = x.size(1) / groups;
  // Summed in LibTorch's order: single roundings in float32 move long trajectories.
  if (x.scalar_type() == at::kFloat) return x.as_strided({batch, groups, width}, {x.stride(0), width, 1}).mean(2);
  auto means = at::empty({batch, groups}, at::kFloat);
  for (int64_t i = 0; i < batch * groups; ++i) {
    const auto* values = x.const_data_ptr<at::BFloat16>() + i / groups * x.stride(0) + i % groups * width;
    means.data_ptr<float>()[i] = std::accumulate(values, values + width, 0.0F) / static_cast<float>(width);
  }
  return means;
}

Statistics statistics(const at::Tensor& x, int64_t groups, double eps) {
  // A picture's first pixel is hardly ever far off its means.
  const auto near = first_means(x, groups);
  const auto s = statistics_around(near, x, eps);
  const auto better = nearer(near, s);
  return better.defined() ? statistics_around(better, x, eps) : s;
}

// One of a normalisation's parameters, [C] or [N,C] in any type: a value for each picture and channel.
class Parameter {
 public:
  Parameter(const at::Tensor& parameter, int64_t channels)
      : channels_(parameter.dim() == 2 ? channels : 0), memory_(as_floats(parameter)), values_(memory_.const_data_ptr<float>()) {}
  double operator()(int64_t picture, int64_t channel) const { return values_[picture * channels_ + channel]; }

 private:
  int64_t channels_;  // between pictures
  at::Tensor memory_;
  const float* values_;
};

// weight, bias: [C] or [N,C].
NormalisedSilu affine(const Statistics& s, const at::Tensor& weight, const at::Tensor& bias, int64_t channels) {
  const int64_t batch = s.mean.size(0), groups = s.mean.size(1), width = channels / groups;
  const Parameter w(weight, channels), b(bias, channels);
  const auto *mean = s.mean.const_data_ptr<double>(), *rstd = s.rstd.const_data_ptr<double>();
  NormalisedSilu result{at::empty({batch, channels}, at::kFloat), at::empty({batch, channels}, at::kFloat)};
  auto *scales = result.scale.data_ptr<float>(), *shifts = result.shift.data_ptr<float>();
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t group = n * groups + c / width;
      const double scale = rstd[group] * w(n, c);
      scales[n * channels + c] = static_cast<float>(scale);
      shifts[n * channels + c] = static_cast<float>(b(n, c) - mean[group] * scale);
    }
  }
  return result;
}

// dx = r w dz + slope x + offset, [N,C] float32 each; sum_dz_hat: sums of dz x^ over the pixels, [N,C] float64.
struct GradientTerms {
  at::Tensor slope, offset, sum_dz_hat;
};

// sums: of dz and of dz (x - pivot[n][c]).
GradientTerms gradient_terms(const Statistics& s, const Sums& sums, const std::vector<float>& pivot, const at::Tensor& weight,
                             int64_t pixels) {
  const int64_t batch = s.mean.size(0), groups = s.mean.size(1), channels = static_cast<int64_t>(pivot.size()) / batch;
  const int64_t width = channels / groups;
  const auto count = static_cast<double>(pixels * width);
  const Parameter w(weight, channels);
  const auto *sum = sums.one.data(), *product = sums.other.data();
  const auto *mean = s.mean.const_data_ptr<double>(), *rstd = s.rstd.const_data_ptr<double>();
  GradientTerms terms{at::empty({batch, channels}, at::kFloat), at::empty({batch, channels}, at::kFloat),
                      at::empty({batch, channels}, at::kDouble)};
  auto *slope = terms.slope.data_ptr<float>(), *offset = terms.offset.data_ptr<float>();
  auto* hat = terms.sum_dz_hat.data_ptr<double>();
  for (int64_t group = 0; group < batch * groups; ++group) {
    const int64_t n = group / groups, origin = group * width;  // of [N,C]
    const double m = mean[group], r = rstd[group];
    double mean_dz = 0, mean_dz_hat = 0;  // of w dz and of w dz x^
    for (int64_t i = origin; i < origin + width; ++i) {
      const int64_t c = i - n * channels;
      hat[i] = (product[i] + (static_cast<double>(pivot[static_cast<size_t>(i)]) - m) * sum[i]) * r;
      mean_dz += w(n, c) * sum[i] / count;
      mean_dz_hat += w(n, c) * hat[i] / count;
    }
    for (int64_t i = origin; i < origin + width; ++i) {
      slope[i] = static_cast<float>(-mean_dz_hat * r * r);
      offset[i] = static_cast<float>(r * (mean_dz_hat * m * r - mean_dz));
    }
  }
  return terms;
}

kernels::Prologue prologue_of(const NormalisedSilu& n, bool silu) {
  return {n.scale.const_data_ptr<float>(), n.shift.const_data_ptr<float>(), silu};
}

at::Tensor applied(const at::Tensor& x, const NormalisedSilu& n, bool silu) {
  auto result = at::empty_like(x);
  const auto map = map_of(x), to = map_of(result);
  over_pixels(map, [&](int64_t picture, int64_t first, int64_t last, int64_t) {
    kernels::kernels()->apply(map, prologue_of(n, silu), picture, first, last, to);
  });
  return result;
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t groups,
                            double eps, bool silu) {
    const auto map = channels_last(x.detach());
    const auto s = statistics(map, groups, eps);
    const auto n = affine(s, weight, bias, map.size(1));
    ctx->save_for_backward({map, weight, bias, s.mean, s.rstd});
    ctx->saved_data["silu"] = silu;
    return applied(map, n, silu);
  }

  // y = f(z), z = w x^ + b, x^ = (x - m) r: dx = r (w dz - mean(w dz) - x^ mean(w dz x^)), means over the group.
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2];
    const Statistics of_x{saved[3], saved[4]};
    const int64_t channels = x.size(1);
    const bool silu = ctx->saved_data["silu"].toBool();
    const auto gradient = channels_last(gradients[0].to(x.scalar_type()));
    const auto n = affine(of_x, weight, bias, channels);
    const auto map = map_of(x), dy = map_of(gradient);
    const auto pivot = for_channels(of_x.mean.const_data_ptr<double>(), x.size(0), of_x.mean.size(1), channels);
    const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* product) {
      kernels::kernels()->gradient_sums(map, dy, prologue_of(n, silu), pivot.data() + picture * channels, picture, first, last, sum,
                                        product);
    });
    const auto terms = gradient_terms(of_x, sums, pivot, weight, x.size(2) * x.size(3));
    variable_list result(6);
    if (ctx->needs_input_grad(0)) {
      auto dx = at::empty_like(x);
      const auto to = map_of(dx);
      over_pixels(map, [&](int64_t picture, int64_t first, int64_t last, int64_t) {
        kernels::kernels()->apply_gradient(map, dy, prologue_of(n, silu), terms.slope.const_data_ptr<float>(),
                                           terms.offset.const_data_ptr<float>(), picture, first, last, to);
      });
      result[0] = dx;
    }
    const auto of_parameter = [](const at::Tensor& sum, const at::Tensor& parameter) {
      return (parameter.dim() == 1 ? sum.sum(0) : sum).to(parameter.scalar_type());
    };
    if (ctx->needs_input_grad(1)) result[1] = of_parameter(terms.sum_dz_hat, weight);
    if (ctx->needs_input_grad(2)) result[2] = of_parameter(at::tensor(sums.one).view({x.size(0), channels}), bias);
    return result;
  }
};

}  // namespace

NormalisedSilu group_norm_affine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const GroupNormOptions& options) {
  const torch::NoGradGuard no_gradients;
  return affine(statistics(channels_last(x), options.groups, options.eps), weight, bias, x.size(1));
}

at::Tensor group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const GroupNormOptions& options) {
  if (kernels_fit(x)) return GroupNormFunction::apply(x, weight, bias, options.groups, options.eps, options.silu);
  const auto input = x.device().is_cpu() ? x.contiguous() : x;  // LibTorch's kernel for the other layout loses digits
  at::Tensor normed;
  if (weight.dim() == 1) {
    normed = at::group_norm(input, options.groups, weight, bias, options.eps);
  } else {
    const auto of_pixels = [&x](const at::Tensor& v) { return v.to(x.scalar_type()).unsqueeze(-1).unsqueeze(-1); };
    normed = at::addcmul(of_pixels(bias), at::group_norm(input, options.groups, {}, {}, options.eps), of_pixels(weight));
  }
  if (!options.silu) return normed;
  return wants_gradient({normed}) ? at::silu(normed) : at::silu_(normed);
}

}  // namespace lpnsr
