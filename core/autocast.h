#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace lpnsr {

// Runs convolutions and matrix products of its scope in `precision`: autocast, or none for fp32, whatever is around it.
class AutocastScope {
 public:
  AutocastScope(c10::Device device, c10::ScalarType precision);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  c10::DeviceType device_;
  bool previous_enabled_;
  c10::ScalarType previous_type_;
};

// What autocast makes of the input of a convolution or a matrix product, and the type it gives it.
c10::ScalarType autocast_type(const at::Tensor& x);
at::Tensor autocast_input(const at::Tensor& x);

}  // namespace lpnsr
