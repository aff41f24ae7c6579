#pragma once
// What an iteration reports: means over the parts of its batch and over the ranks, fetched from the device once.
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "trainers/ranks.h"

namespace lpnsr {

using Metrics = std::map<std::string, double>;

class Scalars {
 public:
  // The mean of one part of the batch. Parts are of equal size; all ranks add the same names.
  void add(const std::string& name, const at::Tensor& mean);
  // A sum and what to divide it by, both scalars; where the divisor stays 0 there is no such metric.
  void add(const std::string& name, const at::Tensor& sum, const at::Tensor& divisor);
  void add(const Scalars& others);
  Scalars copy() const;  // the same values in memory of their own
  // Metrics of this rank alone, and of all ranks together; `flag` travels along and becomes true where it was on any rank.
  Metrics own() const;
  Metrics of_all(const Ranks& ranks, bool* flag = nullptr) const;

 private:
  at::Tensor stacked() const;  // [2n] float64 on the device: sums, then divisors
  Metrics named(const at::Tensor& values) const;
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> sums_;
};

}  // namespace lpnsr
