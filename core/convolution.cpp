#include "core/convolution.h"

#include <ATen/autocast_mode.h>

#include "core/autocast.h"
#include "core/channels_last.h"
#include "core/gradients.h"
#include "core/pixels.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kFewPixels = 256;

// Of a 3x3 convolution of maps in bfloat16 with few pixels, by one matrix product: dW [out, 9 in] = dy^T [out, pixels] X [pixels, 9 in],
// where X holds the nine pixels that each result sees. The result lies channels-last.
at::Tensor gradient_by_product(const at::Tensor& x, const at::Tensor& gradient) {
  const int64_t batch = x.size(0), in = x.size(1), height = x.size(2), width = x.size(3), out = gradient.size(1);
  const auto padded = at::constant_pad_nd(x.permute({0, 2, 3, 1}), {0, 0, 1, 1, 1, 1});
  const auto seen = at::empty({batch, height, width, 9, in}, x.options().memory_format(at::MemoryFormat::Contiguous));
  for (int64_t k = 0; k < 9; ++k) seen.select(3, k).copy_(padded.narrow(1, k / 3, height).narrow(2, k % 3, width));
  const auto pixels = gradient.permute({0, 2, 3, 1}).reshape({-1, out});
  return at::mm(pixels.t(), seen.view({-1, 9 * in})).view({out, 3, 3, in}).permute({0, 3, 1, 2});
}

at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& gradient, const at::Tensor& weight) {
  if (x.scalar_type() == at::kBFloat16 && x.size(0) * x.size(2) * x.size(3) <= kFewPixels) return gradient_by_product(x, gradient);
  // Only the shape of the weight counts: no need to convert it.
  const auto shape = at::empty(weight.sizes(), gradient.options().memory_format(at::MemoryFormat::ChannelsLast));
  return std::get<1>(at::convolution_backward(gradient, channels_last(x), shape, at::OptionalIntArrayRef(), {1, 1}, {1, 1}, {1, 1}, false,
                                              {0, 0}, 1, {false, true, false}));
}

bool is_pointwise(const at::Tensor& weight, int64_t stride, int64_t padding) {
  return stride == 1 && padding == 0 && weight.size(2) == 1 && weight.size(3) == 1;
}

// Of a 1x1 convolution of a map whose pixels lie together.
bool is_product_of_pixels(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding) {
  return is_pointwise(weight, stride, padding) && kernels_fit(x) && x.size(1) == weight.size(1) &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor bias_gradient(const at::Tensor& gradient) {
  // In float32 in LibTorch's order: single roundings move long trajectories.
  return gradient.scalar_type() == at::kFloat ? gradient.sum({0, 2, 3}) : channel_sums(gradient.permute({0, 2, 3, 1}));
}

class WinogradFunction : public torch::autograd::Function<WinogradFunction> {
 public:
  // `read`: the weight as it is read, without gradient.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& read,
                            const std::optional<at::Tensor>& bias) {
    ctx->save_for_backward({x, read});
    ctx->saved_data["type"] = weight.scalar_type();
    ctx->saved_data["bias"] = bias.has_value();
    return winograd_convolution(x, read, bias.value_or(at::Tensor()));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto gradient = channels_last(gradients[0].to(x.scalar_type()));
    const auto type = ctx->saved_data["type"].toScalarType();
    variable_list result(4);
    if (ctx->needs_input_grad(0)) result[0] = winograd_input_gradient(gradient, weight);
    if (ctx->needs_input_grad(1)) result[1] = weight_gradient(x, gradient, weight).to(type);
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(3)) result[3] = bias_gradient(gradient).to(type);
    return result;
  }
};

}  // namespace

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding,
                    const at::Tensor& read) {
  const auto& known = read.defined() ? read : weight;
  if (stride == 1 && padding == 1 && x.device().is_cpu()) {
    const auto input = autocast_input(x);
    if (winograd_fits(input, weight)) {
      return wants_gradient({input, weight, bias})
                 ? WinogradFunction::apply(input, weight, known.detach(), bias.defined() ? std::optional(bias) : std::nullopt)
                 : winograd_convolution(input, known, bias);
    }
  }
  const auto& factor = wants_gradient({weight}) ? weight : known;
  if (is_product_of_pixels(x, weight, stride, padding)) {
    return at::linear(x.permute({0, 2, 3, 1}), factor.flatten(1), bias).permute({0, 3, 1, 2});
  }
  // One layout for all, so that a frozen copy of a network computes the same digits as the network.
  const bool kernels_layout = kernels::kernels() != nullptr && x.device().is_cpu() && x.dim() == 4 && x.scalar_type() != at::kDouble;
  return at::conv2d(kernels_layout ? channels_last(x) : x, factor, bias, stride, padding);
}

at::Tensor twice_as_large(const at::Tensor& x) { return at::upsample_nearest2d(x, {2 * x.size(-2), 2 * x.size(-1)}); }

at::Tensor Conv2dImpl::read_weight() {
  if (kernels::kernels() == nullptr || !weight.is_cpu() || weight.scalar_type() != at::kFloat || weight.is_inference() ||
      !at::autocast::is_autocast_enabled(at::kCPU) || at::autocast::get_autocast_dtype(at::kCPU) != at::kBFloat16) {
    return weight;
  }
  if (weight.requires_grad() && (weight.size(2) != 3 || stride() != 1)) return weight;  // autocast's has the gradient
  const auto values = weight.detach();
  return converted_.of({values}, at::kBFloat16, [&] { return values.to(at::kBFloat16, false, false, at::MemoryFormat::ChannelsLast); });
}

at::Tensor Conv2dImpl::forward_with(const at::Tensor& x, const Epilogue& epilogue) {
  if (is_product_of_pixels(x, weight, stride(), padding()) && PackedWeight::fits(x, weight)) {
    const auto pixels = [](const at::Tensor& map) { return map.defined() ? map.permute({0, 2, 3, 1}) : map; };
    return packed_.multiply(pixels(x), weight, bias, {epilogue.gelu, pixels(epilogue.residual)}).permute({0, 3, 1, 2});
  }
  return followed(convolve(x, weight, bias, stride(), padding(), read_weight()), epilogue);
}

void Conv2dImpl::prepare() {
  if (is_pointwise(weight, stride(), padding())) packed_.prepare(weight);
}

at::Tensor Conv2dImpl::forward_enlarged(const at::Tensor& x) {
  const auto input = autocast_input(x);
  if (!wants_gradient({input, weight, bias}) && stride() == 1 && winograd_fits(input, weight, /*twice=*/true))
    return winograd_convolution(input, read_weight(), bias, {.before = {}, .residual = {}, .twice = true});
  return forward(twice_as_large(x));
}

at::Tensor GroupNormImpl::forward(const at::Tensor& x) { return group_norm(x, weight, bias, with_silu(false)); }

at::Tensor norm_silu_convolve(const GroupNorm& norm, Conv2d& convolution, const at::Tensor& x, const at::Tensor& residual,
                              const at::Tensor& weight, const at::Tensor& bias) {
  const auto &scale = weight.defined() ? weight : norm->weight, &shift = bias.defined() ? bias : norm->bias;
  const auto options = norm->with_silu(true);
  const bool gradient = wants_gradient({x, residual, scale, shift, convolution->weight, convolution->bias});
  if (!gradient && x.device().is_cpu()) {
    const auto input = autocast_input(x);
    if (winograd_fits(input, convolution->weight)) {
      return winograd_convolution(input, convolution->read_weight(), convolution->bias,
                                  {.before = group_norm_affine(input, scale, shift, options), .residual = residual, .twice = false});
    }
  }
  auto h = convolution->forward(group_norm(x, scale, shift, options));
  if (!residual.defined()) return h;
  return gradient ? residual + h : h.add_(residual);
}

}  // namespace lpnsr
