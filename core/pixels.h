#pragma once
// Loops and sums over the pixels of a map.
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "core/kernels/kernels.h"

namespace lpnsr {

inline constexpr int64_t kPixelsOfATask = 256;  // fixed, so that sums do not depend on the number of threads

inline int64_t tasks_of_picture(const kernels::Map& map) { return (map.height * map.width + kPixelsOfATask - 1) / kPixelsOfATask; }

// fn(picture, first pixel, one past the last, its number of a task) for all pixels of all pictures, in parallel.
template <class Fn>
void over_pixels(const kernels::Map& map, const Fn& fn) {
  const int64_t pixels = map.height * map.width, tasks = tasks_of_picture(map);
  at::parallel_for(0, map.batch * tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % tasks * kPixelsOfATask;
      fn(i / tasks, first, std::min(pixels, first + kPixelsOfATask), i);
    }
  });
}

// Two sums for each picture and channel, [N,C] each.
struct Sums {
  std::vector<double> one, other;
};

// Of what `sums(picture, first, last, one, other)` adds up.
template <class Fn>
Sums summed(const kernels::Map& map, const Fn& sums) {
  const auto channels = static_cast<size_t>(map.channels), pictures = static_cast<size_t>(map.batch);
  const auto tasks = static_cast<size_t>(tasks_of_picture(map));
  Sums parts{std::vector<double>(pictures * tasks * channels), std::vector<double>(pictures * tasks * channels)};
  over_pixels(map, [&](int64_t picture, int64_t first, int64_t last, int64_t task) {
    const auto place = static_cast<size_t>(task) * channels;
    sums(picture, first, last, parts.one.data() + place, parts.other.data() + place);
  });
  const auto added = [&](std::vector<double>& of_tasks) {  // each picture's tasks, into its first one's place; then together
    for (size_t picture = 0; picture < pictures; ++picture) {
      double* total = of_tasks.data() + picture * tasks * channels;
      for (size_t task = 1; task < tasks; ++task)
        for (size_t c = 0; c < channels; ++c) total[c] += total[task * channels + c];
      std::copy(total, total + channels, of_tasks.begin() + static_cast<std::ptrdiff_t>(picture * channels));
    }
    of_tasks.resize(pictures * channels);
  };
  added(parts.one);
  added(parts.other);
  return parts;
}

// Of x [...,C], float32 or bfloat16, over all but the last dimension: [C] float32.
at::Tensor channel_sums(const at::Tensor& x);

}  // namespace lpnsr
