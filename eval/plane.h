#pragma once
// One channel of a picture in float64, and the operations that the classical metrics share. Results never depend on the number of threads:
// work is split by rows, each row is computed by itself and sums are taken over rows in their order.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

struct Plane {
  int64_t height = 0, width = 0;
  std::vector<double> values;  // row by row
  Plane() = default;
  Plane(int64_t rows, int64_t columns) : height(rows), width(columns), values(static_cast<size_t>(rows * columns)) {}
  double* row(int64_t y) { return values.data() + y * width; }
  const double* row(int64_t y) const { return values.data() + y * width; }
};

Plane plane_of(const at::Tensor& matrix);  // [H,W] of any type
at::Tensor tensor_of(const Plane& plane);  // float64 [H,W]
Plane part_of(const Plane& plane, int64_t top, int64_t left, int64_t height, int64_t width);

// yiq: 0.299 R + 0.587 G + 0.114 B; bt601: the studio range of MATLAB's rgb2ycbcr.
enum class LumaKind { yiq, bt601 };
// Of RGB [3,H,W] in [0,1], in float32 as the published programs do, times 255 and rounded (half to even); `crop` pixels are taken off each
// side. Throws UsageError, which begins with `metric`, where less than `smallest` pixels a side are left.
Plane rounded_luma(const at::Tensor& rgb, LumaKind kind, int64_t crop, int64_t smallest, const char* metric);

// Calls work(begin, end) for parts of 0 … rows-1 on LibTorch's threads.
void for_rows(int64_t rows, const std::function<void(int64_t, int64_t)>& work);

std::vector<double> gaussian_line(int64_t size, double sigma);  // sums to one
// The same, scaled so that its outer product sums to what a window rounded to float32 sums to. That sum is the only trace which the
// rounding leaves in a mean of squares less a squared mean.
std::vector<double> rounded_gaussian_line(int64_t size, double sigma);

// Separable filter of odd length, borders replicated.
Plane filtered(const Plane& plane, std::span<const double> line);

// imresize by the given factors (core/cubic_taps.h).
Plane resized(const Plane& plane, int64_t height, int64_t width, double scale_y, double scale_x);
Plane resized(const Plane& plane, int64_t height, int64_t width);  // by the factors that the sizes give

}  // namespace lpnsr
