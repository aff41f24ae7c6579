#pragma once
// What a regression method alone makes of a picture of any size: the start of the chain as the result.
#include "diffusion/restorer.h"

namespace lpnsr {

class PreUpsampling {
 public:
  PreUpsampling(const SystemOptions& system, RestoreOptions options, PreUpsampler upsampler);

  // lr [3,h,w] in [0,1] -> rows [3,n,4w] in [0,1] from top to bottom: the whole at once or, where options.memory is too little for that, in
  // patches that overlap and are blended, as large as the memory allows and at most options.tile. Throws Error where not even the smallest
  // patches fit.
  void restore_rows(const at::Tensor& lr, const Restorer::TakeRows& take) const;

  void to(c10::Device device) { device_ = device; }
  void set_memory(double gib) { options_.memory = gib; }
  // As Restorer's: GiB for the whole at once and with the smallest patches, and what may be asked for.
  double published_memory(int64_t height, int64_t width) const;
  double least_memory(int64_t height, int64_t width) const;
  double memory_at_hand() const;

 private:
  double held() const;

  SystemOptions system_;
  RestoreOptions options_;
  PreUpsampler upsampler_;
  c10::Device device_ = c10::kCPU;
  int64_t resident_;  // bytes that the process held when the network was there
};

}  // namespace lpnsr
