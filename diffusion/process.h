#pragma once
// Forward and reverse process on latents [N,C,H,W]; t is one index per batch element or one for all. Coefficients are float64 cast to the
// tensor's type.
#include <ATen/core/Tensor.h>

#include "core/kept.h"
#include "diffusion/schedule.h"

namespace lpnsr {

class ResidualShift {
 public:
  explicit ResidualShift(NoiseSchedule schedule) : schedule_(std::move(schedule)) {}
  const NoiseSchedule& schedule() const { return schedule_; }
  int64_t steps() const { return schedule_.steps(); }

  // Eq. 2: x0 + eta_t (y - x0) + kappa sqrt(eta_t) noise. `t`: int64 [N].
  at::Tensor q_sample(const at::Tensor& x0, const at::Tensor& y, const at::Tensor& t, const at::Tensor& noise) const;
  // Eq. 3: y + kappa sqrt(eta_t) noise, the start of the reverse chain at index t.
  at::Tensor prior_sample(const at::Tensor& y, const at::Tensor& noise, int64_t t) const;
  // Eq. 5 (tensor t or one index).
  at::Tensor posterior_mean(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& t) const;
  at::Tensor posterior_mean(const at::Tensor& x_t, const at::Tensor& x0, int64_t t) const;
  // SinSR's deterministic step (its Eq. 7, DDIM's for this process): x_{t-1} = k x0 + m x_t + j y with k + m + j = 1; at index 0 it is x0.
  struct DeterministicStep {
    double k = 1, m = 0, j = 0;
  };
  DeterministicStep deterministic_step(int64_t t) const;
  at::Tensor deterministic_step(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& y, int64_t t) const;
  // sqrt of Eq. 6; 0 at index 0.
  double posterior_deviation(int64_t t) const;
  // What the networks are told at the indices t, where these lie.
  at::Tensor timesteps(const at::Tensor& t) const;
  // What the denoiser is given: x_t / sqrt(kappa^2 eta_t + 1), the root in float32 as published.
  at::Tensor scale_input(const at::Tensor& x_t, const at::Tensor& t) const;
  at::Tensor scale_input(const at::Tensor& x_t, int64_t t) const;
  // (x_t - x0 - eta (y - x0)) / (kappa sqrt(eta)).
  at::Tensor eps_from_xstart(const at::Tensor& x_t, const at::Tensor& x0, const at::Tensor& y, const at::Tensor& t) const;
  // Eq. 9 and 20, the noise that puts x_{t-1} on the marginal's mean at x0: ((1 - eta_{t-1}) x0 + eta_{t-1} y - mu) / sqrt(Sigma); t >= 1.
  at::Tensor optimal_noise(const at::Tensor& x0, const at::Tensor& y, const at::Tensor& posterior_mean, int64_t t) const;

 private:
  // A table of the schedule where and as it is read: fetched once, so that no step waits for it.
  struct Table {
    std::vector<double> NoiseSchedule::*values;
    c10::Device device;
    c10::ScalarType type;
    bool operator==(const Table&) const = default;
  };
  // The table at t as [N,1,1,1] of the type and device of `like`; looked up where t lies.
  at::Tensor at(std::vector<double> NoiseSchedule::*table, const at::Tensor& t, const at::Tensor& like) const;

  NoiseSchedule schedule_;
  mutable Kept<Table, at::Tensor> tables_;
  mutable Kept<c10::Device, at::Tensor> timesteps_;
};

}  // namespace lpnsr
