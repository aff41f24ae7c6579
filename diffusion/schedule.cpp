#include "diffusion/schedule.h"

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

void check(const ScheduleOptions& o) {
  if (o.steps < 2) {
    throw UsageError(
        fmt::format("steps is {}: the exponential schedule divides by steps - 1, so it needs at least 2 (to sample with one step, "
                    "keep the schedule and set sampling.steps = 1)",
                    o.steps));
  }
  for (const auto& [name, value] :
       {std::pair{"kappa", o.kappa}, std::pair{"min_noise_level", o.min_noise_level}, std::pair{"power", o.power}}) {
    if (!(value > 0.0) || !std::isfinite(value)) throw UsageError(fmt::format("{} is {}: it must be a number above 0", name, value));
  }
  const double start = std::min(o.min_noise_level / o.kappa, o.min_noise_level);
  if (!(o.etas_end > start) || o.etas_end > 1.0) {
    throw UsageError(fmt::format("etas_end is {}: sqrt(eta_T) must lie above sqrt(eta_1) = {:.6g} and not above 1", o.etas_end, start));
  }
  if (o.respaced_steps != 0 && (o.respaced_steps < 2 || o.respaced_steps > o.steps)) {
    throw UsageError(fmt::format("respaced_steps is {}: it must be 0 (off) or 2 to steps = {}", o.respaced_steps, o.steps));
  }
}

// ResShift's geometric progression in a warped time: sqrt(eta_t) = s b^((T-1) u^p), u = 0..1, b = (end / s)^(1 / (T-1)).
std::vector<double> exponential_sqrt_eta(const ScheduleOptions& o) {
  const double start = std::min(o.min_noise_level / o.kappa, o.min_noise_level);
  const auto last = static_cast<double>(o.steps - 1);
  const double base = std::exp(std::log(o.etas_end / start) / last);
  std::vector<double> result(static_cast<size_t>(o.steps));
  for (int64_t t = 0; t < o.steps; ++t) {
    result[static_cast<size_t>(t)] = std::pow(base, std::pow(static_cast<double>(t) / last, o.power) * last) * start;
  }
  return result;
}

}  // namespace

void ScheduleOptions::fields(FieldVisitor& v) {
  v.integer("steps", steps, {2.0, 10000.0}, "T, the length of the chain");
  v.real("kappa", kappa, positive, "noise variance: x_T has deviation kappa sqrt(eta_T) around y");
  v.real("min_noise_level", min_noise_level, positive, "sqrt(eta_1) is min(min_noise_level / kappa, min_noise_level)");
  v.real("etas_end", etas_end, {0.0, 1.0, true}, "sqrt(eta_T)");
  v.real("power", power, positive, "warp of time: smaller values shift earlier");
  v.integer("respaced_steps", respaced_steps, non_negative, "0, or the number of equally spaced steps of the T that are kept");
}

NoiseSchedule make_schedule(const ScheduleOptions& options) {
  check(options);
  NoiseSchedule s;
  s.kappa = options.kappa;
  const auto all = exponential_sqrt_eta(options);
  const int64_t kept = options.respaced_steps == 0 ? options.steps : options.respaced_steps;
  for (int64_t i = 0; i < kept; ++i) {
    // Truncated in floating point as published.
    const auto t = static_cast<int64_t>(static_cast<double>(options.steps) / static_cast<double>(kept) * static_cast<double>(i));
    s.timestep.push_back(t);
    s.sqrt_eta.push_back(all[static_cast<size_t>(t)]);
  }
  for (size_t t = 0; t < s.sqrt_eta.size(); ++t) {
    const double eta = s.sqrt_eta[t] * s.sqrt_eta[t];
    const double previous = t == 0 ? 0.0 : s.eta[t - 1];
    const double alpha = eta - previous;
    s.eta.push_back(eta);
    s.eta_prev.push_back(previous);
    s.alpha.push_back(alpha);
    s.posterior_variance.push_back(s.kappa * s.kappa * previous / eta * alpha);
    s.posterior_coef_xt.push_back(previous / eta);
    s.posterior_coef_x0.push_back(alpha / eta);
  }
  s.posterior_variance_clipped = s.posterior_variance;
  s.posterior_variance_clipped[0] = s.posterior_variance[1];
  for (const double variance : s.posterior_variance_clipped) s.posterior_log_variance_clipped.push_back(std::log(variance));
  return s;
}

}  // namespace lpnsr
