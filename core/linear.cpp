#include "core/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "core/autocast.h"
#include "core/gradients.h"
#include "core/kernels/kernels.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

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

at::Tensor product(const at::Tensor& x, const at::Tensor& arranged_weight, const std::optional<at::Tensor>& bias,
                   const Epilogue& epilogue) {
  using Scalars = torch::List<std::optional<at::Scalar>>;
  static const auto unary =
      operator_named<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view, Scalars,
                                std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  static const auto binary =
      operator_named<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                std::string_view)>("mkldnn::_linear_pointwise", "binary");
  if (epilogue.residual.defined()) return binary.call(x, epilogue.residual, arranged_weight, bias, "add");
  return unary.call(x, arranged_weight, bias, epilogue.gelu ? "gelu" : "none", Scalars(), "none");
}

bool products_in_bfloat16() { return kernels::kernels() != nullptr && kernels::kernels()->f2.tile != 0 && at::hasMKLDNN(); }

at::Tensor matrix(const at::Tensor& weight) { return weight.dim() == 2 ? weight : weight.flatten(1); }

}  // namespace

at::Tensor followed(at::Tensor product, const Epilogue& epilogue) {
  const bool gradient = wants_gradient({product, epilogue.residual});
  if (epilogue.gelu) return gradient ? at::gelu(product) : at::gelu_(product);
  if (!epilogue.residual.defined()) return product;
  const bool in_place = !gradient && product.scalar_type() == epilogue.residual.scalar_type();
  return in_place ? product.add_(epilogue.residual) : epilogue.residual + product;
}

bool PackedWeight::fits(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Epilogue& epilogue) {
  return products_in_bfloat16() && x.is_cpu() && weight.is_cpu() && !weight.is_inference() && x.numel() > 0 &&
         !wants_gradient({x, weight, bias, epilogue.residual}) && autocast_input(x).scalar_type() == at::kBFloat16;
}

at::Tensor PackedWeight::packed(const at::Tensor& weight) {
  const auto values = weight.requires_grad() ? weight.detach() : weight;
  return packed_.of({values}, at::kBFloat16, [&] { return arranged(matrix(values).to(at::kBFloat16).contiguous()); });
}

at::Tensor PackedWeight::multiply(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const Epilogue& epilogue) {
  const auto input = autocast_input(x).contiguous();
  const auto added = bias.defined() ? std::optional(bias.to(at::kBFloat16)) : std::nullopt;
  note_flops(2.0 * static_cast<double>(input.numel()) * static_cast<double>(weight.size(0)));
  const bool apart = epilogue.residual.defined() && epilogue.residual.scalar_type() != at::kBFloat16;
  if (apart) return followed(product(input, packed(weight), added, {}), epilogue);
  return product(input, packed(weight), added,
                 {epilogue.gelu, epilogue.residual.defined() ? epilogue.residual.contiguous() : at::Tensor()});
}

void PackedWeight::prepare(const at::Tensor& weight) {
  if (products_in_bfloat16() && weight.is_cpu() && weight.scalar_type() == at::kBFloat16) packed(weight);
}

void LinearLayerImpl::prepare() { packed_.prepare(weight); }

at::Tensor LinearLayerImpl::forward_with(const at::Tensor& x, const Epilogue& epilogue) {
  if (PackedWeight::fits(x, weight, bias, epilogue)) return packed_.multiply(x, weight, bias, epilogue);
  return followed(at::linear(x, weight, bias), epilogue);
}

}  // namespace lpnsr
