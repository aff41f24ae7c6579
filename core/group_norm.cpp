#include "core/group_norm.h"

#include <ATen/Parallel.h>

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

Statistics statistics(const at::Tensor& x, int64_t groups, double eps) {
  const int64_t batch = x.size(0), channels = x.size(1);
  const double count = static_cast<double>(x.size(2) * x.size(3) * (channels / groups));
  // The first picture's first pixel is near enough to the mean to keep the sum of squares from cancelling; one value for a group.
  const auto pivot =
      x.select(0, 0).select(1, 0).select(1, 0).to(at::kFloat).view({groups, -1}).mean(1, true).expand({-1, channels / groups}).reshape(-1);
  const auto map = map_of(x);
  const auto sums = summed(map, [&](int64_t picture, int64_t first, int64_t last, double* sum, double* square) {
    kernels::kernels()->moments(map, picture, first, last, pivot.const_data_ptr<float>(), sum, square);
  });
  const auto of_groups = sums.view({2, batch, groups, -1}).sum(3) / count;
  const auto offset = of_groups[0];
  const auto variance = (of_groups[1] - offset * offset).clamp_min(0.0);
  return {offset + pivot.view({groups, -1}).select(1, 0).to(at::kDouble), (variance + eps).rsqrt()};
}

// [N,G] to [N,C].
at::Tensor of_channels(const at::Tensor& of_groups, int64_t channels) {
  return of_groups.unsqueeze(2).expand({-1, -1, channels / of_groups.size(1)}).reshape({of_groups.size(0), channels});
}

NormalisedSilu affine(const Statistics& s, const at::Tensor& weight, const at::Tensor& bias, int64_t channels) {
  const auto scale = of_channels(s.rstd, channels) * weight.detach().to(at::kDouble);
  const auto shift = bias.detach().to(at::kDouble) - of_channels(s.mean, channels) * scale;
  return {scale.to(at::kFloat).contiguous(), shift.to(at::kFloat).contiguous()};
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
