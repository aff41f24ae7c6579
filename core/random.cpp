#include "core/random.h"

#include <cmath>
#include <mutex>
#include <numbers>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

uint64_t split_mix(uint64_t state) {
  state += 0x9E3779B97F4A7C15ULL;
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ULL;
  state = (state ^ (state >> 27)) * 0x94D049BB133111EBULL;
  return state ^ (state >> 31);
}

}  // namespace

uint64_t stream_seed(uint64_t seed, std::string_view name, std::initializer_list<uint64_t> indices) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char character : name) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3ULL;
  uint64_t state = split_mix(seed ^ hash);
  for (const uint64_t index : indices) state = split_mix(state ^ split_mix(index));
  return state;
}

at::Generator make_generator(uint64_t seed) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

at::Generator make_generator(uint64_t seed, c10::Device device) {
  if (device.is_cpu()) return make_generator(seed);
  at::Generator generator = at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

at::Tensor generator_state(const at::Generator& generator) { return generator.get_state(); }

void set_generator_state(at::Generator& generator, const at::Tensor& state) {
  try {
    const std::lock_guard lock(generator.mutex());
    generator.set_state(state.cpu());
  } catch (const c10::Error& error) {
    throw DataError(fmt::format("a random generator's state: {}", error.what_without_backtrace()));
  }
}

double RandomStream::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double RandomStream::uniform(double low, double high) {
  const double value = low + (high - low) * uniform();
  return value < high || high <= low ? value : std::nextafter(high, low);  // rounding may reach the end that is not included
}

int64_t RandomStream::integer(int64_t low, int64_t high) {
  if (high < low) throw Error(fmt::format("no integer lies in [{}, {}]", low, high));
  const uint64_t last = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  uint64_t offset = bits();
  if (last != ~uint64_t{0}) {
    const uint64_t count = last + 1;
    const uint64_t surplus = (0 - count) % count;  // 2^64 mod count: the draws that would make small results likelier
    while (offset < surplus) offset = bits();
    offset %= count;
  }
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

// Box-Muller; the second of the pair is dropped so that the engine is the whole state.
double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

bool RandomStream::chance(double p) { return uniform() < p; }

size_t RandomStream::choose(std::span<const double> weights) {
  double sum = 0.0;
  for (const double weight : weights) {
    if (!(weight >= 0.0) || !std::isfinite(weight))
      throw Error(fmt::format("a weight of a random choice is {}: it must not be negative", weight));
    sum += weight;
  }
  if (!(sum > 0.0)) throw Error("the weights of a random choice are all zero");
  double rest = uniform() * sum;
  size_t chosen = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0.0) continue;
    chosen = i;
    if (rest < weights[i]) break;
    rest -= weights[i];
  }
  return chosen;
}

}  // namespace lpnsr
