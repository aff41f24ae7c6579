#pragma once
// Randomness flows from one seed through named streams: stream(seed, "degradation", {epoch, sample}). Neither the number of worker threads
// nor that of ranks then alters a draw.
#include <cstdint>
#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include <ATen/core/Generator.h>
#include <c10/core/Device.h>

namespace lpnsr {

// FNV-1a of the name mixed with the seed and the indices (SplitMix64).
uint64_t stream_seed(uint64_t seed, std::string_view name, std::initializer_list<uint64_t> indices = {});

// LibTorch's CPU generator, whose randn equals PyTorch's for the same seed.
at::Generator make_generator(uint64_t seed);
// The generator of a device of this build and machine.
at::Generator make_generator(uint64_t seed, c10::Device device);
// The generator's complete state as bytes (uint8 tensor) and back.
at::Tensor generator_state(const at::Generator& generator);
void set_generator_state(at::Generator& generator, const at::Tensor& state);

// Scalar draws for parameters (degradation, crops, shuffles): the same on every platform.
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : engine_(seed) {}
  double uniform();                            // [0, 1)
  double uniform(double low, double high);     // [low, high)
  int64_t integer(int64_t low, int64_t high);  // [low, high], both included
  double normal();                             // N(0, 1)
  bool chance(double probability);
  size_t choose(std::span<const double> weights);  // index with probability weight / sum
  uint64_t bits() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace lpnsr
