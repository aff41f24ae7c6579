#pragma once
// Checked access to the tensors a person hands to `lpnsr forward`.
#include <set>
#include <string>

#include <c10/core/Device.h>

#include "core/state_dict.h"

namespace lpnsr {

// Every function throws DataError that says what was expected and what was found.
class ForwardInputs {
 public:
  // `origin`: file and module, the beginning of each message. `tensors` must outlive this.
  ForwardInputs(const StateDict& tensors, std::string origin, c10::Device device);

  // float32 [N,channels,H,W], none of the sides 0; `batch` -1: any.
  at::Tensor images(const std::string& name, int64_t channels, int64_t batch = -1) const;
  // float32 of the shape of `other`, which is called `other_name`.
  at::Tensor images_like(const std::string& name, const at::Tensor& other, const std::string& other_name) const;
  // int64 [batch], not negative.
  at::Tensor indices(const std::string& name, int64_t batch) const;

  void warn_about_unused() const;

 private:
  at::Tensor take(const std::string& name, const std::string& expected) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& expected, const at::Tensor& found) const;

  const StateDict& tensors_;
  std::string origin_;
  c10::Device device_;
  mutable std::set<std::string> used_;
};

}  // namespace lpnsr
