#include "core/nearest_codes.h"

#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include "core/kernels/kernels.h"

namespace lpnsr {
namespace {

constexpr int64_t kDistancesAtOnce = int64_t{1} << 22;  // 16 MiB of float32
constexpr int64_t kMostCodes = int64_t{1} << 24;        // which float32 counts

// |z - e|^2 without the term that is the same for all codes: |e|^2 - 2 z e.
at::Tensor by_kernel(const at::Tensor& points, const at::Tensor& codes) {
  const int64_t count = codes.size(0), lanes = kernels::kernels()->lanes;
  const auto squares = at::constant_pad_nd(codes.square().sum(1), {0, (lanes - count % lanes) % lanes},
                                           std::numeric_limits<float>::infinity());  // so that no point is nearest to what fills up
  const auto columns = at::constant_pad_nd(codes.t(), {0, squares.size(0) - count}).contiguous();
  const kernels::Codes all{.values = columns.const_data_ptr<float>(),
                           .squares = squares.const_data_ptr<float>(),
                           .count = squares.size(0),
                           .depth = codes.size(1)};
  auto indices = at::empty({points.size(0)}, at::kLong);
  constexpr int64_t kPointsOfATask = 64;
  at::parallel_for(0, points.size(0), kPointsOfATask, [&](int64_t first, int64_t last) {
    kernels::kernels()->nearest(points.const_data_ptr<float>(), all, first, last, indices.data_ptr<int64_t>());
  });
  return indices;
}

at::Tensor by_operators(const at::Tensor& points, const at::Tensor& codes) {
  const auto squares = codes.square().sum(1), transposed = codes.t();
  const int64_t rows = std::max<int64_t>(1, kDistancesAtOnce / codes.size(0));  // not all distances at once
  auto indices = at::empty({points.size(0)}, points.options().dtype(at::kLong));
  for (int64_t start = 0; start < points.size(0); start += rows) {
    const int64_t length = std::min(rows, points.size(0) - start);
    indices.narrow(0, start, length).copy_(at::addmm(squares, points.narrow(0, start, length), transposed, 1.0, -2.0).argmin(1));
  }
  return indices;
}

}  // namespace

at::Tensor nearest_codes(const at::Tensor& points, const at::Tensor& codes) {
  const at::NoGradGuard no_gradients;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const auto type = points.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto z = points.to(type).contiguous(), e = codes.to(type);
  const bool kernel = kernels::kernels() != nullptr && z.is_cpu() && type == at::kFloat && codes.size(0) < kMostCodes;
  return kernel ? by_kernel(z, e) : by_operators(z, e);
}

}  // namespace lpnsr
