#include "core/winograd.h"

#include <ATen/Parallel.h>

#include "core/channels_last.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

using kernels::kWinogradProducts;
using kernels::kWinogradTile;

constexpr int64_t kLeastTiles = 32;              // below, the filters' transformation costs more than is won
constexpr int64_t kTransformedValues = 1 << 20;  // of the input at a time and thread: 4 MiB, which the caches hold

int64_t tiles_of(int64_t height, int64_t width) {
  return ((height + kWinogradTile - 1) / kWinogradTile) * ((width + kWinogradTile - 1) / kWinogradTile);
}

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

at::Tensor transformed_filters(const kernels::Kernels& k, const kernels::Filters& filters) {
  const int64_t blocks = divided_up(filters.out, k.filters);
  auto u = at::empty({blocks, kWinogradProducts, filters.in, k.filters}, at::kFloat);
  auto* to = u.data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) { k.transform_filters(filters, first, last, to); });
  return u;
}

void convolve(const kernels::Map& map, const kernels::Prologue& prologue, bool twice, const kernels::Filters& filters, const float* bias,
              const kernels::Map& residual, const kernels::Map& result) {
  const auto& k = *kernels::kernels();
  const auto u = transformed_filters(k, filters);
  const float* u_data = u.const_data_ptr<float>();
  const int64_t tiles = result.batch * tiles_of(result.height, result.width), blocks = divided_up(filters.out, k.filters);
  const int64_t chunk = 2 * k.rows_at_once;  // tiles of a task: their products stay in the second cache
  const int64_t threads = at::get_num_threads();
  const int64_t wanted = threads * kTransformedValues / (kWinogradProducts * filters.in);
  const int64_t group = std::min(tiles, std::max<int64_t>(1, wanted / (threads * chunk)) * threads * chunk);
  auto v = at::empty({kWinogradProducts, group, filters.in}, at::kFloat);
  float* v_data = v.data_ptr<float>();
  const int64_t stride = group * filters.in;
  for (int64_t origin = 0; origin < tiles; origin += group) {
    const int64_t end = std::min(tiles, origin + group);
    at::parallel_for(origin, end, chunk / 4,
                     [&](int64_t first, int64_t last) { k.transform_input(map, prologue, twice, first, last, origin, stride, v_data); });
    const int64_t tasks = divided_up(end - origin, chunk) * blocks;
    at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
      auto scratch = at::empty({kWinogradProducts, chunk, k.filters}, at::kFloat);
      for (int64_t task = first; task < last; ++task) {
        const int64_t from = origin + task / blocks * chunk;
        k.multiply(v_data, stride, origin, filters.in, u_data, task % blocks, from, std::min(end, from + chunk), bias, residual,
                   scratch.data_ptr<float>(), result);
      }
    });
  }
}

kernels::Filters filters_of(const at::Tensor& weight) {  // contiguous float32
  return {.first = weight.const_data_ptr<float>(),
          .in = weight.size(1),
          .out = weight.size(0),
          .out_stride = weight.stride(0),
          .in_stride = weight.stride(1),
          .tap_stride = 1};
}

at::Tensor float_taps(const at::Tensor& weight) { return weight.detach().to(at::kFloat).contiguous(); }

}  // namespace

bool winograd_fits(const at::Tensor& x, const at::Tensor& weight, bool twice) {
  if (!kernels_fit(x) || weight.size(2) != 3 || weight.size(3) != 3 || weight.size(1) != x.size(1)) return false;
  const int64_t factor = twice ? 2 : 1;
  return weight.size(0) % kernels::kernels()->lanes == 0 && x.size(0) * tiles_of(factor * x.size(2), factor * x.size(3)) >= kLeastTiles;
}

at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const WinogradOptions& options) {
  const auto map = channels_last(x), taps = float_taps(weight);
  const int64_t factor = options.twice ? 2 : 1;
  auto result = at::empty({x.size(0), weight.size(0), factor * x.size(2), factor * x.size(3)},
                          x.options().memory_format(at::MemoryFormat::ChannelsLast).requires_grad(false));
  const auto added = bias.defined() ? bias.detach().to(at::kFloat).contiguous() : at::Tensor();
  const auto residual = options.residual.defined() ? channels_last(options.residual.to(x.scalar_type())) : at::Tensor();
  kernels::Prologue prologue;
  if (options.before) {
    prologue = {options.before->scale.const_data_ptr<float>(), options.before->shift.const_data_ptr<float>(), true};
  }
  convolve(map_of(map), prologue, options.twice, filters_of(taps), added.defined() ? added.const_data_ptr<float>() : nullptr,
           residual.defined() ? map_of(residual) : kernels::Map{}, map_of(result));
  note_convolution(result.size(0) * result.size(2) * result.size(3), weight);
  return result;
}

at::Tensor winograd_input_gradient(const at::Tensor& gradient, const at::Tensor& weight) {
  const auto map = channels_last(gradient), taps = float_taps(weight);
  auto result = at::empty({gradient.size(0), weight.size(1), gradient.size(2), gradient.size(3)},
                          gradient.options().memory_format(at::MemoryFormat::ChannelsLast));
  // A convolution with the filters turned by 180 degrees and their two sides exchanged.
  const kernels::Filters turned{.first = taps.const_data_ptr<float>() + 8,
                                .in = taps.size(0),
                                .out = taps.size(1),
                                .out_stride = taps.stride(1),
                                .in_stride = taps.stride(0),
                                .tap_stride = -1};
  convolve(map_of(map), {}, false, turned, nullptr, {}, map_of(result));
  note_convolution(result.size(0) * result.size(2) * result.size(3), weight);
  return result;
}

}  // namespace lpnsr
