#pragma once
// Takes a network's weights out of a published file by name. A network that only ever evaluates needs no torch::nn module: it asks for each
// tensor with the shape it expects and refuses, once it has asked for all, what did not fit.
#include <string>
#include <unordered_set>

#include <c10/core/Device.h>

#include "core/state_dict.h"

namespace lpnsr {

class WeightReader {
 public:
  // Keys that contain one of `options.derived` or "num_batches_tracked" may be absent and are ignored.
  WeightReader(StateDict weights, std::string origin, c10::Device device, const LoadOptions& options = {});

  // Float32 on the device. Where the entry is missing or of another shape the fault is noted and zeros are returned.
  at::Tensor take(const std::string& key, at::IntArrayRef shape);
  // The same for an entry that the published file has and the network does not use.
  void skip(const std::string& key, at::IntArrayRef shape);
  // Throws DataError that lists every fault as load_strictly does: missing, extra, of another shape or type, NaN.
  void finish() const;

 private:
  const at::Tensor* find(const std::string& key, at::IntArrayRef shape);
  StateDict weights_;
  std::string origin_;
  c10::Device device_;
  LoadOptions options_;
  Misfits faults_;
  std::unordered_set<std::string> taken_;
};

}  // namespace lpnsr
