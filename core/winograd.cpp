#include "core/winograd.h"

#include <ATen/Parallel.h>

#include "core/channels_last.h"
#include "core/work_counter.h"

namespace lpnsr {
namespace {

constexpr int64_t kLeastTiles = 16;             // below, the filters' transformation costs more than is won
constexpr int64_t kTilesOfFilters = 40;         // whose products take as long as it takes to transform the filters and to read them again
constexpr int64_t kTransformedBytes = 4 << 20;  // of the input at a time and thread, which the caches hold

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t tiles_of(int64_t tile, int64_t height, int64_t width) { return divided_up(height, tile) * divided_up(width, tile); }

// One convolution: what it reads and writes.
struct Job {
  kernels::Winograd form;
  kernels::Map map;
  kernels::Prologue prologue;
  bool twice;
  kernels::Filters filters;
  const float* bias;
  kernels::Map residual, result;

  int64_t tiles() const { return result.batch * tiles_of(form.tile, result.height, result.width); }
  int64_t blocks() const { return divided_up(filters.out, kernels::kernels()->filters); }
  int64_t padding() const { return kernels::plane_padding(form.factor_bytes); }
  int64_t block_bytes() const { return form.factor_bytes * form.products() * (filters.in * kernels::kernels()->filters + padding()); }
  // For the transformed values of so many tiles' inputs; planes lie `stride` elements apart.
  int64_t stride(int64_t tiles_of_input) const { return tiles_of_input * filters.in + padding(); }
  at::Tensor tiles_memory(int64_t tiles_of_input) const { return bytes(form.factor_bytes * form.products() * stride(tiles_of_input)); }
  static at::Tensor bytes(int64_t count) { return at::empty({count}, at::kByte); }
};

// Tiles first..last-1, a chunk at most, of one block of filters: their products stay in the second cache.
class Multiplier {
 public:
  Multiplier(const Job& job, const void* v, int64_t stride, int64_t origin)
      : job_(job),
        v_(v),
        stride_(stride),
        origin_(origin),
        scratch_(at::empty({job.form.products(), chunk(), kernels::kernels()->filters}, at::kFloat)) {}
  static int64_t chunk() { return 2 * kernels::kernels()->rows_at_once; }
  void operator()(const void* u, int64_t block, int64_t first, int64_t last) const {
    job_.form.multiply(v_, stride_, origin_, job_.filters.in, u, block, first, last, job_.bias, job_.residual, scratch_.data_ptr<float>(),
                       job_.result);
  }

 private:
  const Job& job_;
  const void* v_;
  int64_t stride_, origin_;
  at::Tensor scratch_;
};

void transform_input(const Job& job, int64_t first, int64_t last, int64_t stride, void* v) {
  at::parallel_for(first, last, Multiplier::chunk() / 4, [&](int64_t from, int64_t to) {
    job.form.transform_input(job.map, job.prologue, job.twice, from, to, first, stride, v);
  });
}

// Few tiles and many filters: the whole input is transformed, then block after block of the filters, each used for all tiles while it is in
// the cache.
void filters_in_turn(const Job& job) {
  const int64_t tiles = job.tiles(), stride = job.stride(tiles), chunks = divided_up(tiles, Multiplier::chunk());
  auto v = job.tiles_memory(tiles);
  transform_input(job, 0, tiles, stride, v.mutable_data_ptr());
  at::parallel_for(0, job.blocks() * chunks, 1, [&](int64_t first, int64_t last) {
    auto u = Job::bytes(job.block_bytes());
    const Multiplier multiply(job, v.const_data_ptr(), stride, 0);
    int64_t transformed = -1;
    for (int64_t task = first; task < last; ++task) {
      const int64_t block = task / chunks, chunk = task % chunks;
      if (block != transformed) job.form.transform_filters(job.filters, block, block + 1, u.mutable_data_ptr());
      transformed = block;
      multiply(u.const_data_ptr(), block, tiles * chunk / chunks, tiles * (chunk + 1) / chunks);
    }
  });
}

// Many tiles: all filters are transformed once, then group after group of tiles, as many as the caches hold.
void tiles_in_turn(const Job& job) {
  const int64_t tiles = job.tiles(), blocks = job.blocks(), in = job.filters.in, threads = at::get_num_threads();
  auto u = Job::bytes(blocks * job.block_bytes());
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    job.form.transform_filters(job.filters, first, last, u.data_ptr<uint8_t>() + first * job.block_bytes());
  });
  const int64_t step = threads * Multiplier::chunk(), tile_bytes = job.form.factor_bytes * job.form.products() * in;
  const int64_t group = std::min(tiles, std::max<int64_t>(1, threads * kTransformedBytes / (tile_bytes * step)) * step);
  const int64_t stride = job.stride(group);
  auto v = job.tiles_memory(group);
  for (int64_t origin = 0; origin < tiles; origin += group) {
    const int64_t end = std::min(tiles, origin + group);
    transform_input(job, origin, end, stride, v.mutable_data_ptr());
    at::parallel_for(0, divided_up(end - origin, Multiplier::chunk()) * blocks, 1, [&](int64_t first, int64_t last) {
      const Multiplier multiply(job, v.const_data_ptr(), stride, origin);
      for (int64_t task = first; task < last; ++task) {
        const int64_t block = task % blocks, from = origin + task / blocks * Multiplier::chunk();
        multiply(u.const_data_ptr<uint8_t>() + block * job.block_bytes(), block, from, std::min(end, from + Multiplier::chunk()));
      }
    });
  }
}

void run(const Job& job) { job.tiles() <= job.filters.out ? filters_in_turn(job) : tiles_in_turn(job); }

// The form with the least work for a result of this size. For float32 F4 alone: the others' rounding is too coarse.
const kernels::Winograd& form_for(const at::Tensor& x, bool twice) {
  const auto& k = *kernels::kernels();
  if (x.scalar_type() != at::kBFloat16) return k.f4;
  const int64_t factor = twice ? 2 : 1;
  const auto work = [&](const kernels::Winograd& form) {  // products in bfloat16 take half the time
    return form.factor_bytes * form.products() *
           (x.size(0) * tiles_of(form.tile, factor * x.size(2), factor * x.size(3)) + kTilesOfFilters);
  };
  const auto& in_float = work(k.f6) < work(k.f4) ? k.f6 : k.f4;
  return k.f2.tile != 0 && work(k.f2) < work(in_float) ? k.f2 : in_float;
}

kernels::Filters filters_of(const at::Tensor& weight) {  // what even_taps made
  return {.taps = weight.const_data_ptr(),
          .bfloat16 = weight.scalar_type() == at::kBFloat16,
          .first = 0,
          .in = weight.size(1),
          .out = weight.size(0),
          .out_stride = weight.stride(0),
          .in_stride = weight.stride(1),
          .tap_stride = weight.stride(3)};
}

// With the nine taps at equal distances: any usual layout stays as it is.
at::Tensor even_taps(const at::Tensor& weight) {
  const auto type = weight.scalar_type();
  const auto taps = type == at::kFloat || type == at::kBFloat16 ? weight : weight.detach().to(at::kFloat);
  return taps.stride(2) == 3 * taps.stride(3) ? taps : taps.contiguous();
}

double flops_of(const at::Tensor& result, const at::Tensor& weight) {
  return 2.0 * static_cast<double>(result.size(0) * result.size(2) * result.size(3)) * static_cast<double>(weight.numel());
}

}  // namespace

bool winograd_fits(const at::Tensor& x, const at::Tensor& weight, bool twice) {
  if (!kernels_fit(x) || weight.size(2) != 3 || weight.size(3) != 3 || weight.size(1) != x.size(1)) return false;
  const int64_t factor = twice ? 2 : 1;
  return weight.size(0) % kernels::kernels()->lanes == 0 &&
         x.size(0) * tiles_of(form_for(x, twice).tile, factor * x.size(2), factor * x.size(3)) >= kLeastTiles;
}

at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const WinogradOptions& options) {
  const auto map = channels_last(x), taps = even_taps(weight);
  const int64_t factor = options.twice ? 2 : 1;
  auto result = at::empty({x.size(0), weight.size(0), factor * x.size(2), factor * x.size(3)},
                          x.options().memory_format(at::MemoryFormat::ChannelsLast).requires_grad(false));
  const auto added = bias.defined() ? as_floats(bias) : at::Tensor();
  const auto residual = options.residual.defined() ? channels_last(options.residual.to(x.scalar_type())) : at::Tensor();
  kernels::Prologue prologue;
  if (options.before) {
    prologue = {options.before->scale.const_data_ptr<float>(), options.before->shift.const_data_ptr<float>(), true};
  }
  run({form_for(map, options.twice), map_of(map), prologue, options.twice, filters_of(taps),
       added.defined() ? added.const_data_ptr<float>() : nullptr, residual.defined() ? map_of(residual) : kernels::Map{}, map_of(result)});
  note_flops(flops_of(result, weight));
  return result;
}

at::Tensor winograd_input_gradient(const at::Tensor& gradient, const at::Tensor& weight) {
  const auto map = channels_last(gradient), taps = even_taps(weight);
  auto result = at::empty({gradient.size(0), weight.size(1), gradient.size(2), gradient.size(3)},
                          gradient.options().memory_format(at::MemoryFormat::ChannelsLast));
  // A convolution with the filters turned by 180 degrees and their two sides exchanged.
  auto turned = filters_of(taps);
  std::swap(turned.in, turned.out);
  std::swap(turned.in_stride, turned.out_stride);
  turned.first = 8 * turned.tap_stride;
  turned.tap_stride = -turned.tap_stride;
  run({form_for(map, false), map_of(map), {}, false, turned, nullptr, {}, map_of(result)});
  note_flops(flops_of(result, weight));
  return result;
}

}  // namespace lpnsr
