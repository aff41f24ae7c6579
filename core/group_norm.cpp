#include "core/group_norm.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include "core/channels_last.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kPixelsOfATask = 1024;  // fixed, so that sums do not depend on the number of threads

// fn(picture, first pixel, one past the last, its number of a task) for all pixels of all pictures, in parallel.
template <class Fn>
void over_pixels(const kernels::Map& map, const Fn& fn) {
  const int64_t pixels = map.height * map.width, tasks = (pixels + kPixelsOfATask - 1) / kPixelsOfATask;
  at::parallel_for(0, map.batch * tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % tasks * kPixelsOfATask;
      fn(i / tasks, first, std::min(pixels, first + kPixelsOfATask), i);
    }
  });
}

// Two sums for each picture and channel, [2,N,C] float64: of what `sums(picture, first, last, one, other)` adds up.
template <class Fn>
at::Tensor summed(const kernels::Map& map, const Fn& sums) {
  const int64_t tasks = (map.height * map.width + kPixelsOfATask - 1) / kPixelsOfATask;
  auto parts = at::empty({2, map.batch, tasks, map.channels}, at::kDouble);
  auto* one = parts.data_ptr<double>();
  auto* other = one + parts.stride(0);
  over_pixels(map, [&](int64_t picture, int64_t first, int64_t last, int64_t task) {
    sums(picture, first, last, one + task * map.channels, other + task * map.channels);
  });
  return parts.sum(2);
}

// Mean and 1 / standard deviation of each group, [N,G] float64 each.
struct Statistics {
  at::Tensor mean, rstd;
};

// From here to the end of affine() plain loops: on few numbers LibTorch's operators would take longer than the sums over the map.
Statistics statistics(const at::Tensor& x, int64_t groups, double eps) {
  const int64_t batch = x.size(0), channels = x.size(1), width = channels / groups;
  const double count = static_cast<double>(x.size(2) * x.size(3) * width);
  // The first picture's first pixel is near enough to the mean to keep the sum of squares from cancelling; one value for a group.
  const auto near = x.select(0, 0).select(1, 0).select(1, 0).to(at::kFloat).view({groups, -1}).mean(1);
  const auto* pivot = near.const_data_ptr<float>();
  std::vector<float> pivots(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) pivots[static_cast<size_t>(c)] = pivot[c / width];
  const auto map = map_of(x);
  const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* square) {
    kernels::kernels()->moments(map, picture, first, last, pivots.data(), sum, square);
  });
  const auto of_groups = sums.view({2, batch, groups, -1}).sum(3);
  const auto *sum = of_groups.const_data_ptr<double>(), *square = sum + batch * groups;
  Statistics s{at::empty({batch, groups}, at::kDouble), at::empty({batch, groups}, at::kDouble)};
  auto *mean = s.mean.data_ptr<double>(), *rstd = s.rstd.data_ptr<double>();
  for (int64_t i = 0; i < batch * groups; ++i) {
    const double offset = sum[i] / count, variance = std::max(square[i] / count - offset * offset, 0.0);
    mean[i] = offset + pivot[i % groups];
    rstd[i] = 1.0 / std::sqrt(variance + eps);
  }
  return s;
}

// weight, bias: [C] or [N,C].
NormalisedSilu affine(const Statistics& s, const at::Tensor& weight, const at::Tensor& bias, int64_t channels) {
  const int64_t batch = s.mean.size(0), groups = s.mean.size(1), width = channels / groups;
  const auto rows = [&](const at::Tensor& parameter) { return parameter.detach().to(at::kFloat).expand({batch, channels}); };
  const auto weights = rows(weight), biases = rows(bias);
  const auto w = weights.accessor<float, 2>(), b = biases.accessor<float, 2>();
  const auto *mean = s.mean.const_data_ptr<double>(), *rstd = s.rstd.const_data_ptr<double>();
  NormalisedSilu result{at::empty({batch, channels}, at::kFloat), at::empty({batch, channels}, at::kFloat)};
  auto *scales = result.scale.data_ptr<float>(), *shifts = result.shift.data_ptr<float>();
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t group = n * groups + c / width;
      const double scale = rstd[group] * static_cast<double>(w[n][c]);
      scales[n * channels + c] = static_cast<float>(scale);
      shifts[n * channels + c] = static_cast<float>(static_cast<double>(b[n][c]) - mean[group] * scale);
    }
  }
  return result;
}

// [N,G] to [N,C].
at::Tensor of_channels(const at::Tensor& of_groups, int64_t channels) {
  return of_groups.unsqueeze(2).expand({-1, -1, channels / of_groups.size(1)}).reshape({of_groups.size(0), channels});
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
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["silu"] = silu;
    return applied(map, n, silu);
  }

  // y = f(z), z = w x^ + b, x^ = (x - m) r: dx = r (w dz - mean(w dz) - x^ mean(w dz x^)), means over the group.
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &rstd = saved[4];
    const int64_t groups = ctx->saved_data["groups"].toInt(), batch = x.size(0), channels = x.size(1);
    const bool silu = ctx->saved_data["silu"].toBool();
    const auto gradient = channels_last(gradients[0].to(x.scalar_type()));
    const auto n = affine({mean, rstd}, weight, bias, channels);
    const auto map = map_of(x), dy = map_of(gradient);
    const auto means = of_channels(mean, channels), inverse = of_channels(rstd, channels);
    const auto pivot = means.select(0, 0).to(at::kFloat).contiguous();
    const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* product) {
      kernels::kernels()->gradient_sums(map, dy, prologue_of(n, silu), pivot.const_data_ptr<float>(), picture, first, last, sum, product);
    });
    const auto sum_dz = sums[0];
    const auto sum_dz_hat = (sums[1] + (pivot.to(at::kDouble) - means) * sums[0]) * inverse;
    const auto w = weight.detach().to(at::kDouble).expand({batch, channels});
    const double count = static_cast<double>(x.size(2) * x.size(3) * (channels / groups));
    const auto group_mean = [&](const at::Tensor& of_channel) {
      return of_channels((w * of_channel).view({batch, groups, -1}).sum(2) / count, channels);
    };
    const auto mean_dz = group_mean(sum_dz), mean_dz_hat = group_mean(sum_dz_hat);
    variable_list result(6);
    if (ctx->needs_input_grad(0)) {
      const auto slope = (-mean_dz_hat * inverse * inverse).to(at::kFloat).contiguous();
      const auto offset = (inverse * (mean_dz_hat * means * inverse - mean_dz)).to(at::kFloat).contiguous();
      auto dx = at::empty_like(x);
      const auto to = map_of(dx);
      over_pixels(map, [&](int64_t picture, int64_t first, int64_t last, int64_t) {
        kernels::kernels()->apply_gradient(map, dy, prologue_of(n, silu), slope.const_data_ptr<float>(), offset.const_data_ptr<float>(),
                                           picture, first, last, to);
      });
      result[0] = dx;
    }
    const auto of_parameter = [](const at::Tensor& sum, const at::Tensor& parameter) {
      return (parameter.dim() == 1 ? sum.sum(0) : sum).to(parameter.scalar_type());
    };
    if (ctx->needs_input_grad(1)) result[1] = of_parameter(sum_dz_hat, weight);
    if (ctx->needs_input_grad(2)) result[2] = of_parameter(sum_dz, bias);
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
  return torch::GradMode::is_enabled() && normed.requires_grad() ? at::silu(normed) : at::silu_(normed);
}

}  // namespace lpnsr
