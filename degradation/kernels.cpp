#include "degradation/kernels.h"

#include <cmath>
#include <functional>
#include <numbers>

namespace lpnsr {
namespace {

using std::numbers::pi;

void normalise(Kernel& kernel) {
  double sum = 0.0;
  for (const double tap : kernel.taps) sum += tap;
  for (double& tap : kernel.taps) tap /= sum;
}

// `value` of the offsets from the centre, x along the columns.
Kernel sampled(int64_t size, const std::function<double(double x, double y)>& value) {
  Kernel kernel{size, std::vector<double>(static_cast<size_t>(size * size))};
  const double half = static_cast<double>(size - 1) / 2.0;
  for (int64_t row = 0; row < size; ++row) {
    for (int64_t column = 0; column < size; ++column) {
      kernel.taps[static_cast<size_t>(row * size + column)] = value(static_cast<double>(column) - half, static_cast<double>(row) - half);
    }
  }
  normalise(kernel);
  return kernel;
}

Kernel bivariate(const KernelParameters& p) {
  const bool anisotropic = p.type.ends_with("aniso");
  const double cos_t = anisotropic ? std::cos(p.theta) : 1.0, sin_t = anisotropic ? std::sin(p.theta) : 0.0;
  const double precision_x = 1.0 / (p.sigma_x * p.sigma_x), precision_y = anisotropic ? 1.0 / (p.sigma_y * p.sigma_y) : precision_x;
  // The inverse of S = U diag(sx^2, sy^2) U^T.
  const double a = cos_t * cos_t * precision_x + sin_t * sin_t * precision_y;
  const double b = cos_t * sin_t * (precision_x - precision_y);
  const double c = sin_t * sin_t * precision_x + cos_t * cos_t * precision_y;
  const bool generalized = p.type.starts_with("generalized"), plateau = p.type.starts_with("plateau");
  return sampled(p.size, [&](double x, double y) {
    const double distance = a * x * x + 2.0 * b * x * y + c * y * y;
    if (plateau) return 1.0 / (1.0 + std::pow(distance, p.beta));
    return std::exp(-0.5 * (generalized ? std::pow(distance, p.beta) : distance));
  });
}

Kernel sinc(const KernelParameters& p, bool released_script) {
  const double omega = p.omega;
  return sampled(p.size, [omega, released_script](double x, double y) {
    const double r = std::hypot(x, y);
    if (released_script) return r == 0.0 ? omega : std::sin(omega * r) / r;
    return r == 0.0 ? omega * omega / (4.0 * pi) : omega * j1(omega * r) / (2.0 * pi * r);
  });
}

Kernel padded(const Kernel& kernel, int64_t size) {
  if (size <= kernel.size) return kernel;
  Kernel result{size, std::vector<double>(static_cast<size_t>(size * size))};
  const int64_t margin = (size - kernel.size) / 2;
  for (int64_t row = 0; row < kernel.size; ++row) {
    for (int64_t column = 0; column < kernel.size; ++column) {
      result.taps[static_cast<size_t>((row + margin) * size + column + margin)] = kernel.at(row, column);
    }
  }
  return result;
}

}  // namespace

Kernel make_kernel(const KernelParameters& parameters, const std::string& flavour) {
  if (parameters.type == "none") return padded({1, {1.0}}, parameters.padded_size);
  return padded(parameters.type == "sinc" ? sinc(parameters, flavour == "lpnsr") : bivariate(parameters), parameters.padded_size);
}

Kernel gaussian_kernel(int64_t size, double sigma) {
  return sampled(size, [sigma](double x, double y) { return std::exp(-0.5 * (x * x + y * y) / (sigma * sigma)); });
}

}  // namespace lpnsr
