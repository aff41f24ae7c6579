#include "diffusion/noise_predictor.h"

#include <numbers>

#include <fmt/ranges.h>

#include "core/error.h"

namespace lpnsr {

DiagonalGaussian DiagonalGaussian::from_parameters(const at::Tensor& parameters) {
  if (parameters.dim() < 2 || parameters.size(1) % 2 != 0) {
    throw UsageError(fmt::format("a Gaussian's parameters have shape [{}]; they must be [N,2C,...], means before log-variances",
                                 fmt::join(parameters.sizes(), ",")));
  }
  const auto parts = parameters.chunk(2, 1);
  return {parts[0], parts[1].clamp(-30.0, 20.0)};
}

at::Tensor DiagonalGaussian::std() const { return (0.5 * logvar).exp(); }

at::Tensor DiagonalGaussian::sample(const at::Tensor& eps) const { return mean + std() * eps; }

at::Tensor DiagonalGaussian::kl_to_standard_normal() const { return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).flatten(1).sum(1); }

at::Tensor DiagonalGaussian::negative_log_likelihood(const at::Tensor& x) const {
  const double log_two_pi = std::log(2.0 * std::numbers::pi);
  return 0.5 * (log_two_pi + logvar + (x - mean).square() * (-logvar).exp()).flatten(1).sum(1);
}

// A new predictor says N(0, 1) everywhere, which is the chain without a predictor: training starts from the denoiser's own quality.
NoisePredictorImpl::NoisePredictorImpl(const SwinUNetOptions& options)
    : SwinUNetImpl(options, 2 * options.in_channels, 2 * options.out_channels) {
  set_to_zero(last_layer());
}

DiagonalGaussian NoisePredictorImpl::forward(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& lq, const at::Tensor& t) {
  if (x_t.sizes() != x0.sizes()) {
    throw UsageError(fmt::format("x_t has shape [{}] and x0 [{}]: the noise predictor takes two of the same", fmt::join(x_t.sizes(), ","),
                                 fmt::join(x0.sizes(), ",")));
  }
  return DiagonalGaussian::from_parameters(SwinUNetImpl::forward(at::cat({x_t, x0}, 1), t, lq));
}

}  // namespace lpnsr
