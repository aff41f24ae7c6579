#include "degradation/resample.h"

#include <algorithm>
#include <cmath>

namespace lpnsr {
namespace {

// Output i along one axis is the sum of weight[i][k] * input[index[i][k]]; unused taps have the weight 0.
struct Axis {
  int64_t outputs = 0, taps = 0;
  std::vector<int64_t> index;
  std::vector<float> weight;

  Axis(int64_t o, int64_t t) : outputs(o), taps(t), index(static_cast<size_t>(o * t)), weight(static_cast<size_t>(o * t)) {}
  void set(int64_t output, int64_t tap, int64_t input, float value) {
    index[static_cast<size_t>(output * taps + tap)] = input;
    weight[static_cast<size_t>(output * taps + tap)] = value;
  }
};

Axis area_axis(int64_t in, int64_t out) {
  Axis axis(out, in / out + 2);
  for (int64_t i = 0; i < out; ++i) {
    const int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
    for (int64_t k = begin; k < end; ++k) axis.set(i, k - begin, k, 1.0F / static_cast<float>(end - begin));
  }
  return axis;
}

Axis bilinear_axis(int64_t in, int64_t out, float step) {
  Axis axis(out, 2);
  for (int64_t i = 0; i < out; ++i) {
    const float source = std::max(0.0F, step * (static_cast<float>(i) + 0.5F) - 0.5F);
    const int64_t first = std::min(static_cast<int64_t>(source), in - 1);
    const float share = std::clamp(source - static_cast<float>(first), 0.0F, 1.0F);
    axis.set(i, 0, first, 1.0F - share);
    axis.set(i, 1, std::min(first + 1, in - 1), share);
  }
  return axis;
}

float cubic_near(float x) { return ((1.25F * x - 2.25F) * x) * x + 1.0F; }         // |x| <= 1, a = -0.75
float cubic_far(float x) { return ((-0.75F * x + 3.75F) * x - 6.0F) * x + 3.0F; }  // 1 < |x| < 2

Axis bicubic_axis(int64_t in, int64_t out, float step) {
  Axis axis(out, 4);
  for (int64_t i = 0; i < out; ++i) {
    const float source = step * (static_cast<float>(i) + 0.5F) - 0.5F;
    const auto base = static_cast<int64_t>(std::floor(source));
    const float t = source - static_cast<float>(base);
    const float weights[4] = {cubic_far(1.0F + t), cubic_near(t), cubic_near(1.0F - t), cubic_far(2.0F - t)};
    for (int64_t k = 0; k < 4; ++k) axis.set(i, k, std::clamp<int64_t>(base - 1 + k, 0, in - 1), weights[k]);
  }
  return axis;
}

Axis make_axis(int64_t in, int64_t out, float step, const std::string& mode) {
  if (mode == "area") return area_axis(in, out);
  return mode == "bilinear" ? bilinear_axis(in, out, step) : bicubic_axis(in, out, step);
}

Planes resample(const Planes& picture, const Axis& vertical, const Axis& horizontal) {
  Planes result(picture.channels, vertical.outputs, horizontal.outputs);
  std::vector<float> line(static_cast<size_t>(picture.width));
  for (int64_t c = 0; c < picture.channels; ++c) {
    for (int64_t y = 0; y < vertical.outputs; ++y) {
      std::fill(line.begin(), line.end(), 0.0F);
      for (int64_t k = 0; k < vertical.taps; ++k) {
        const auto tap = static_cast<size_t>(y * vertical.taps + k);
        const float weight = vertical.weight[tap];
        if (weight == 0.0F) continue;
        const float* source = picture.row(c, vertical.index[tap]);
        for (int64_t x = 0; x < picture.width; ++x) line[static_cast<size_t>(x)] += weight * source[x];
      }
      float* out = result.row(c, y);
      const int64_t* index = horizontal.index.data();
      const float* weight = horizontal.weight.data();
      for (int64_t x = 0; x < horizontal.outputs; ++x, index += horizontal.taps, weight += horizontal.taps) {
        float sum = 0.0F;
        for (int64_t k = 0; k < horizontal.taps; ++k) sum += weight[k] * line[static_cast<size_t>(index[k])];
        out[x] = sum;
      }
    }
  }
  return result;
}

}  // namespace

Planes resize_by(const Planes& picture, double factor, const std::string& mode) {
  if (factor == 1.0) return picture;
  const auto size = [factor](int64_t in) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::floor(static_cast<double>(in) * factor)));
  };
  const auto step = static_cast<float>(1.0 / factor);
  return resample(picture, make_axis(picture.height, size(picture.height), step, mode),
                  make_axis(picture.width, size(picture.width), step, mode));
}

Planes resize_to(const Planes& picture, int64_t height, int64_t width, const std::string& mode) {
  if (height == picture.height && width == picture.width) return picture;
  const auto step = [](int64_t in, int64_t out) { return static_cast<float>(in) / static_cast<float>(out); };
  return resample(picture, make_axis(picture.height, height, step(picture.height, height), mode),
                  make_axis(picture.width, width, step(picture.width, width), mode));
}

}  // namespace lpnsr
