#include "diffusion/process.h"

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

size_t checked(const NoiseSchedule& schedule, int64_t t, int64_t first = 0) {
  if (t < first || t >= schedule.steps()) {
    throw UsageError(fmt::format("step index {} is outside {}..{} of this schedule", t, first, schedule.steps() - 1));
  }
  return static_cast<size_t>(t);
}

}  // namespace

at::Tensor ResidualShift::at(std::vector<double> NoiseSchedule::*table, const at::Tensor& t, const at::Tensor& like) const {
  const auto values = tables_.of({}, {table, t.device(), like.scalar_type()},
                                 [&] { return torch::tensor(schedule_.*table, torch::kFloat64).to(t.device(), like.scalar_type()); });
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = t.numel();
  return values.index_select(0, t.flatten()).to(like.device()).reshape(shape);
}

at::Tensor ResidualShift::timesteps(const at::Tensor& t) const {
  const auto table = timesteps_.of({}, t.device(), [&] { return torch::tensor(schedule_.timestep, torch::kInt64).to(t.device()); });
  return table.index_select(0, t.flatten());
}

at::Tensor ResidualShift::q_sample(const at::Tensor& x0, const at::Tensor& y, const at::Tensor& t, const at::Tensor& noise) const {
  return x0 + at(&NoiseSchedule::eta, t, x0) * (y - x0) + at(&NoiseSchedule::sqrt_eta, t, x0) * schedule_.kappa * noise;
}

at::Tensor ResidualShift::prior_sample(const at::Tensor& y, const at::Tensor& noise, int64_t t) const {
  return y + schedule_.kappa * schedule_.sqrt_eta[checked(schedule_, t)] * noise;
}

at::Tensor ResidualShift::posterior_mean(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& t) const {
  return at(&NoiseSchedule::posterior_coef_xt, t, x_t) * x_t + at(&NoiseSchedule::posterior_coef_x0, t, x_t) * x0;
}

at::Tensor ResidualShift::posterior_mean(const at::Tensor& x_t, const at::Tensor& x0, int64_t t) const {
  const size_t i = checked(schedule_, t);
  return schedule_.posterior_coef_xt[i] * x_t + schedule_.posterior_coef_x0[i] * x0;
}

// Keeps the noise that x_t holds: (x_t - (1 - eta) x0 - eta y) / sqrt(eta) times sqrt(eta') on the mean at t-1.
ResidualShift::DeterministicStep ResidualShift::deterministic_step(int64_t t) const {
  const size_t i = checked(schedule_, t);
  const double eta = schedule_.eta[i], before = schedule_.eta_prev[i];
  const double m = std::sqrt(before / eta), j = before - std::sqrt(before * eta);
  return {1.0 - before + std::sqrt(before * eta) - m, m, j};
}

at::Tensor ResidualShift::deterministic_step(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& y, int64_t t) const {
  const auto [k, m, j] = deterministic_step(t);
  return k * x0 + m * x_t + j * y;
}

double ResidualShift::posterior_deviation(int64_t t) const { return std::sqrt(schedule_.posterior_variance[checked(schedule_, t)]); }

at::Tensor ResidualShift::scale_input(const at::Tensor& x_t, const at::Tensor& t) const {
  return x_t / (at(&NoiseSchedule::eta, t, x_t) * (schedule_.kappa * schedule_.kappa) + 1.0).sqrt();
}

at::Tensor ResidualShift::scale_input(const at::Tensor& x_t, int64_t t) const {
  const double eta = schedule_.eta[checked(schedule_, t)], kappa2 = schedule_.kappa * schedule_.kappa;
  if (x_t.scalar_type() == torch::kFloat64) return x_t / std::sqrt(kappa2 * eta + 1.0);
  return x_t / std::sqrt(static_cast<float>(eta) * static_cast<float>(kappa2) + 1.0F);
}

at::Tensor ResidualShift::eps_from_xstart(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& y, const at::Tensor& t) const {
  return (x_t - x0 - at(&NoiseSchedule::eta, t, x_t) * (y - x0)) / (at(&NoiseSchedule::sqrt_eta, t, x_t) * schedule_.kappa);
}

at::Tensor ResidualShift::optimal_noise(const at::Tensor& x0, const at::Tensor& y, const at::Tensor& posterior_mean, int64_t t) const {
  const double eta = schedule_.eta_prev[checked(schedule_, t, 1)];
  return ((1.0 - eta) * x0 + eta * y - posterior_mean) / posterior_deviation(t);
}

}  // namespace lpnsr
