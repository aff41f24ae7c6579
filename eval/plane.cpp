#include "eval/plane.h"

#include <cmath>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "core/cubic_taps.h"
#include "core/error.h"
#include "core/vectorised.h"

namespace lpnsr {
namespace {

LPNSR_VECTORISED void add_scaled_row(const double* from, double factor, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

}  // namespace

Plane plane_of(const at::Tensor& matrix) {
  const auto wide = matrix.to(at::kCPU, at::kDouble).contiguous();
  Plane plane(wide.size(0), wide.size(1));
  std::copy_n(wide.data_ptr<double>(), wide.numel(), plane.values.data());
  return plane;
}

at::Tensor tensor_of(const Plane& plane) {
  auto tensor = at::empty({plane.height, plane.width}, at::kDouble);
  std::copy(plane.values.begin(), plane.values.end(), tensor.data_ptr<double>());
  return tensor;
}

Plane part_of(const Plane& plane, int64_t top, int64_t left, int64_t height, int64_t width) {
  Plane part(height, width);
  for (int64_t y = 0; y < height; ++y) std::copy_n(plane.row(top + y) + left, width, part.row(y));
  return part;
}

Plane rounded_luma(const at::Tensor& rgb, LumaKind kind, int64_t crop, int64_t smallest, const char* metric) {
  const int64_t height = rgb.size(1) - 2 * crop, width = rgb.size(2) - 2 * crop;
  if (std::min(height, width) < smallest) {
    throw UsageError(fmt::format("{} needs {} pixels a side{}; the picture is {}x{}", metric, smallest + 2 * crop,
                                 crop > 0 ? fmt::format(" ({} after {} are taken off each side)", smallest, crop) : "", rgb.size(2),
                                 rgb.size(1)));
  }
  const auto pixels = rgb.to(at::kCPU, at::kFloat).contiguous();
  const float* red = pixels.data_ptr<float>();
  const float *green = red + pixels.size(1) * pixels.size(2), *blue = green + pixels.size(1) * pixels.size(2);
  Plane luma(height, width);
  for_rows(height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const int64_t i = (y + crop) * pixels.size(2) + x + crop;
        float value = 0;
        if (kind == LumaKind::yiq) {
          value = 0.299F * red[i] + 0.587F * green[i] + 0.114F * blue[i];
        } else {
          value = (65.481F * red[i] + 128.553F * green[i] + 24.966F * blue[i] + 16.0F) / 255.0F;
        }
        luma.row(y)[x] = std::nearbyint(value * 255.0F);
      }
    }
  });
  return luma;
}

void for_rows(int64_t rows, const std::function<void(int64_t, int64_t)>& work) {
  at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) { work(begin, end); });
}

std::vector<double> gaussian_line(int64_t size, double sigma) {
  std::vector<double> line;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double offset = static_cast<double>(i) - static_cast<double>(size - 1) / 2;
    line.push_back(std::exp(-offset * offset / (2 * sigma * sigma)));
    sum += line.back();
  }
  for (double& weight : line) weight /= sum;
  return line;
}

std::vector<double> rounded_gaussian_line(int64_t size, double sigma) {
  auto line = gaussian_line(size, sigma);
  double sum = 0;
  for (const double a : line) {
    for (const double b : line) sum += static_cast<double>(static_cast<float>(a * b));
  }
  for (double& weight : line) weight *= std::sqrt(sum);
  return line;
}

Plane filtered(const Plane& plane, std::span<const double> line) {
  const auto taps = static_cast<int64_t>(line.size()), reach = taps / 2;
  Plane across(plane.height, plane.width), result(plane.height, plane.width);
  for_rows(plane.height, [&](int64_t begin, int64_t end) {
    std::vector<double> padded(static_cast<size_t>(plane.width + 2 * reach));
    for (int64_t y = begin; y < end; ++y) {
      const double* from = plane.row(y);
      std::fill_n(padded.begin(), reach, from[0]);
      std::copy_n(from, plane.width, padded.begin() + reach);
      std::fill_n(padded.end() - reach, reach, from[plane.width - 1]);
      for (int64_t k = 0; k < taps; ++k) add_scaled_row(padded.data() + k, line[static_cast<size_t>(k)], across.row(y), plane.width);
    }
  });
  for_rows(plane.height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t from = std::clamp<int64_t>(y + k - reach, 0, plane.height - 1);
        add_scaled_row(across.row(from), line[static_cast<size_t>(k)], result.row(y), plane.width);
      }
    }
  });
  return result;
}

Plane resized(const Plane& plane, int64_t height, int64_t width, double scale_y, double scale_x) {
  const auto down = cubic_taps(plane.height, height, scale_y, true), across = cubic_taps(plane.width, width, scale_x, true);
  Plane tall(height, plane.width), result(height, width);
  for_rows(height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t k = y * down.count; k < (y + 1) * down.count; ++k) {
        const auto tap = static_cast<size_t>(k);
        if (down.weights[tap] != 0) add_scaled_row(plane.row(down.indices[tap]), down.weights[tap], tall.row(y), plane.width);
      }
      for (int64_t x = 0; x < width; ++x) {
        double sum = 0;
        for (int64_t k = x * across.count; k < (x + 1) * across.count; ++k)
          sum += across.weights[static_cast<size_t>(k)] * tall.row(y)[across.indices[static_cast<size_t>(k)]];
        result.row(y)[x] = sum;
      }
    }
  });
  return result;
}

Plane resized(const Plane& plane, int64_t height, int64_t width) {
  return resized(plane, height, width, static_cast<double>(height) / static_cast<double>(plane.height),
                 static_cast<double>(width) / static_cast<double>(plane.width));
}

}  // namespace lpnsr
