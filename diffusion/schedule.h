#pragma once
// The shifting sequence eta_t of the residual-shifting chain and what follows from it, in float64 (ResShift's exponential schedule).
// Index here is the paper's t minus 1: 0 .. T-1.
#include <cstdint>
#include <vector>

#include "core/config.h"

namespace lpnsr {

struct ScheduleOptions {
  int64_t steps = 4;             // T
  double kappa = 2.0;            // noise variance
  double min_noise_level = 0.2;  // sqrt(eta_1) = min(min_noise_level / kappa, min_noise_level)
  double etas_end = 0.99;        // sqrt(eta_T)
  double power = 0.3;
  int64_t respaced_steps = 0;  // 0: none; else ResShift's subsampling of the T steps
  void fields(FieldVisitor& v);
};

struct NoiseSchedule {
  double kappa = 0;
  std::vector<double> sqrt_eta, eta, eta_prev, alpha;  // eta_prev[0] = 0, alpha = eta - eta_prev (paper Eq. 1)
  std::vector<double> posterior_variance;              // kappa^2 eta_prev/eta alpha (Eq. 6); 0 at index 0
  std::vector<double> posterior_variance_clipped;      // index 0 repeats index 1
  std::vector<double> posterior_log_variance_clipped;
  std::vector<double> posterior_coef_xt;  // eta_prev/eta (Eq. 5); 0 at index 0
  std::vector<double> posterior_coef_x0;  // alpha/eta (Eq. 5); 1 at index 0
  std::vector<int64_t> timestep;          // what the networks are told at each index: 0..T-1, or the kept steps when respaced
  int64_t steps() const { return static_cast<int64_t>(eta.size()); }
};

// Throws UsageError for steps < 2 (the published formula divides by zero) and impossible values.
NoiseSchedule make_schedule(const ScheduleOptions& options);

}  // namespace lpnsr
