#include "trainers/scalars.h"

namespace lpnsr {

void Scalars::add(const std::string& name, const at::Tensor& mean) {
  add(name, mean, torch::ones({}, mean.options().requires_grad(false)));
}

void Scalars::add(const std::string& name, const at::Tensor& sum, const at::Tensor& divisor) {
  const at::Tensor value = sum.detach().to(torch::kFloat64), weight = divisor.detach().to(value.device(), torch::kFloat64);
  const auto [place, is_new] = sums_.try_emplace(name, value, weight);
  if (!is_new) place->second = {place->second.first + value, place->second.second + weight};
}

void Scalars::add(const Scalars& others) {
  for (const auto& [name, sum] : others.sums_) add(name, sum.first, sum.second);
}

Scalars Scalars::copy() const {
  Scalars copies;
  for (const auto& [name, sum] : sums_) copies.sums_.emplace(name, std::pair(sum.first.clone(), sum.second.clone()));
  return copies;
}

at::Tensor Scalars::stacked() const {
  std::vector<at::Tensor> values;
  for (const auto& [name, sum] : sums_) values.push_back(sum.first);
  for (const auto& [name, sum] : sums_) values.push_back(sum.second);
  return values.empty() ? torch::empty({0}, torch::kFloat64) : torch::stack(values);
}

Metrics Scalars::named(const at::Tensor& values) const {
  const at::Tensor fetched = values.cpu();
  const auto* all = fetched.const_data_ptr<double>();
  Metrics metrics;
  for (const auto& [name, sum] : sums_) {
    const double divisor = all[sums_.size()];
    if (divisor != 0.0) metrics[name] = *all / divisor;
    ++all;
  }
  return metrics;
}

Metrics Scalars::own() const { return named(stacked()); }

Metrics Scalars::of_all(const Ranks& ranks, bool* flag) const {
  at::Tensor values = stacked();
  const bool mine = flag != nullptr && *flag;
  values = torch::cat({values, torch::full({1}, mine ? 1.0 : 0.0, values.options())});
  ranks.sum(values);
  values = values.cpu();
  if (flag != nullptr) *flag = values[-1].item<double>() > 0;
  return named(values);
}

}  // namespace lpnsr
