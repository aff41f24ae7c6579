#include "core/token_attention.h"

#include <cmath>

#include <ATen/ATen.h>
#include <torch/autograd.h>

#include "core/gradients.h"

namespace lpnsr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kQueries = 512;  // whose scores the caches hold

double scale_of(const at::Tensor& q) { return 1.0 / std::sqrt(static_cast<double>(q.size(3))); }

at::Tensor turned(const at::Tensor& tokens) { return tokens.transpose(2, 3).contiguous(); }

// Softmax of the scores of some queries, float32.
at::Tensor shares(const at::Tensor& queries, const at::Tensor& turned_keys) {
  return at::softmax(at::matmul(queries, turned_keys).to(at::kFloat).mul_(scale_of(queries)), -1);
}

template <class Fn>
void for_queries(int64_t tokens, const Fn& fn) {
  for (int64_t first = 0; first < tokens; first += kQueries) fn(first, std::min(first + kQueries, tokens));
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto keys = turned(k);
  auto result = at::empty_like(q);
  for_queries(q.size(2), [&](int64_t first, int64_t last) {
    result.slice(2, first, last).copy_(at::matmul(shares(q.slice(2, first, last), keys).to(q.scalar_type()), v));
  });
  return result;
}

class TokenAttentionFunction : public torch::autograd::Function<TokenAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    ctx->save_for_backward({q, k, v});
    return attend(q, k, v);
  }

  // With S = scale Q K^T, P = softmax(S), O = P V and dO given: dV = P^T dO, dP = dO V^T, dS = P (dP - sum_j P dP), dQ = scale dS K,
  // dK = scale dS^T Q. dK and dV are summed over the queries as their transposes, whose products need no large matrix turned.
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    const auto type = q.scalar_type();
    const auto keys = turned(k), values = turned(v), given = gradients[0].to(type).contiguous();
    auto dq = at::empty_like(q);
    auto dk = at::zeros(keys.sizes(), keys.options().dtype(at::kFloat)), dv = at::zeros_like(dk);
    for_queries(q.size(2), [&](int64_t first, int64_t last) {
      const auto queries = q.slice(2, first, last), gradient = given.slice(2, first, last);
      const auto p = shares(queries, keys);
      dv.add_(at::matmul(turned(gradient), p.to(type)));
      const auto dp = at::matmul(gradient, values).to(at::kFloat);
      const auto ds = at::_softmax_backward_data(dp, p, -1, at::kFloat).mul_(scale_of(q)).to(type);
      dq.slice(2, first, last).copy_(at::matmul(ds, k));
      dk.add_(at::matmul(turned(queries), ds));
    });
    return {dq, turned(dk).to(type), turned(dv).to(type)};
  }
};

}  // namespace

at::Tensor token_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.device().is_cpu() || q.scalar_type() != at::kBFloat16) return at::scaled_dot_product_attention(q, k, v);
  return wants_gradient({q, k, v}) ? TokenAttentionFunction::apply(q, k, v) : attend(q, k, v);
}

}  // namespace lpnsr
