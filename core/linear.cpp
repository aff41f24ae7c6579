#include "core/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/autograd.h>

#include "core/autocast.h"
#include "core/gradients.h"
#include "core/kernels/kernels.h"
#include "core/pixels.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// LibTorch's operators for its compiler, which take a weight in oneDNN's layout: its own linear() arranges the weight at every call, writes
// the bias into the result first, and leaves what follows to further passes over the result. They have no C++ declarations.
template <class Signature>
auto operator_named(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

at::Tensor arranged(const at::Tensor& weight) {
  static const auto reorder = operator_named<at::Tensor(const at::Tensor&, std::optional<int64_t>)>("mkldnn::_reorder_linear_weight");
  return reorder.call(weight, std::nullopt);
}

// x [...,in] dense, bias undefined or [out].
at::Tensor product(const at::Tensor& x, const at::Tensor& arranged_weight, const at::Tensor& bias, const Epilogue& epilogue) {
  using Scalars = torch::List<std::optional<at::Scalar>>;
  static const auto unary =
      operator_named<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view, Scalars,
                                std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  static const auto binary =
      operator_named<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                std::string_view)>("mkldnn::_linear_pointwise", "binary");
  note_flops(2.0 * static_cast<double>(x.numel()) * static_cast<double>(arranged_weight.size(0)));
  const auto added = bias.defined() ? std::optional(bias.detach().to(at::kBFloat16)) : std::nullopt;
  if (epilogue.residual.defined()) return binary.call(x, epilogue.residual, arranged_weight, added, "add");
  return unary.call(x, arranged_weight, added, epilogue.gelu ? "gelu" : "none", Scalars(), "none");
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  // forward_weight, backward_weight: the weight and its transpose, arranged; the latter is undefined where x wants no gradient.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& residual, const at::Tensor& forward_weight,
                            const at::Tensor& backward_weight) {
    ctx->save_for_backward({weight.requires_grad() ? x : at::Tensor()});
    ctx->saved_data["factor"] = backward_weight;
    ctx->saved_data["weight_sizes"] = weight.sizes();
    ctx->saved_data["weight_type"] = weight.scalar_type();
    ctx->saved_data["bias_type"] = bias ? bias->scalar_type() : at::kBFloat16;
    return product(x, forward_weight, bias.value_or(at::Tensor()), {false, residual.value_or(at::Tensor())});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto gradient = gradients[0].to(at::kBFloat16).contiguous();
    const auto rows = gradient.flatten(0, -2);
    variable_list result(6);
    if (ctx->needs_input_grad(0)) result[0] = product(gradient, ctx->saved_data["factor"].toTensor(), {}, {});
    if (ctx->needs_input_grad(1)) {
      const auto x = ctx->get_saved_variables()[0].flatten(0, -2);
      result[1] = at::mm(rows.t(), x).view(ctx->saved_data["weight_sizes"].toIntVector()).to(ctx->saved_data["weight_type"].toScalarType());
    }
    if (ctx->needs_input_grad(2)) result[2] = channel_sums(rows).to(ctx->saved_data["bias_type"].toScalarType());
    if (ctx->needs_input_grad(3)) result[3] = gradient;
    return result;
  }
};

bool products_in_bfloat16() { return kernels::kernels() != nullptr && kernels::kernels()->f2.tile != 0 && at::hasMKLDNN(); }

at::Tensor matrix(const at::Tensor& weight) { return weight.dim() == 2 ? weight : weight.flatten(1); }

}  // namespace

at::Tensor followed(at::Tensor product, const Epilogue& epilogue) {
  // Without kernels everything is as the published code does it: that is what LPNSR_KERNELS=off is for.
  const bool in_place = (kernels::kernels() != nullptr || !product.is_cpu()) && !wants_gradient({product, epilogue.residual});
  if (epilogue.gelu) return in_place ? at::gelu_(product) : at::gelu(product);
  if (!epilogue.residual.defined()) return product;
  return in_place && product.scalar_type() == epilogue.residual.scalar_type() ? product.add_(epilogue.residual)
                                                                              : epilogue.residual + product;
}

bool PackedWeight::fits(const at::Tensor& x, const at::Tensor& weight) {
  return products_in_bfloat16() && x.is_cpu() && weight.is_cpu() && !weight.is_inference() && x.numel() > 0 &&
         autocast_type(x) == at::kBFloat16;
}

at::Tensor PackedWeight::packed(const at::Tensor& weight, Side side) {
  const auto values = weight.requires_grad() ? weight.detach() : weight;
  return packed_.of({values}, side, [&] {
    const auto rows = matrix(values).to(at::kBFloat16);
    return arranged(side == Side::forward ? rows.contiguous() : rows.t().contiguous());
  });
}

at::Tensor PackedWeight::multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Epilogue& epilogue) {
  const auto input = autocast_input(x).contiguous();
  const auto& residual = epilogue.residual;
  const bool apart = residual.defined() && residual.scalar_type() != at::kBFloat16;  // the sum is wider than the product
  if (wants_gradient({input, weight, bias, residual})) {
    const bool fused = residual.defined() && !apart;
    const auto result = LinearFunction::apply(input, weight, bias.defined() ? std::optional(bias) : std::nullopt,
                                              fused ? std::optional(residual.contiguous()) : std::nullopt, packed(weight, Side::forward),
                                              wants_gradient({input}) ? packed(weight, Side::backward) : at::Tensor());
    return fused ? result : followed(result, epilogue);
  }
  const auto factor = packed(weight, Side::forward);
  if (apart) return followed(product(input, factor, bias, {}), epilogue);
  return product(input, factor, bias, {epilogue.gelu, residual.defined() ? residual.contiguous() : at::Tensor()});
}

void PackedWeight::prepare(const at::Tensor& weight) {
  if (products_in_bfloat16() && weight.is_cpu() && weight.scalar_type() == at::kBFloat16) packed(weight, Side::forward);
}

void LinearLayerImpl::prepare() { packed_.prepare(weight); }

at::Tensor LinearLayerImpl::forward_with(const at::Tensor& x, const Epilogue& epilogue) {
  if (PackedWeight::fits(x, weight)) return packed_.multiply(x, weight, bias, epilogue);
  return followed(at::linear(x, weight, bias), epilogue);
}

}  // namespace lpnsr
