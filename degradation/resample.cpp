#include "degradation/resample.h"

#include <algorithm>
#include <cmath>

#include "core/vectorised.h"

namespace lpnsr {
namespace {

// Output i along one axis is the sum over k of weight[k][i] * input[index[k][i]]; unused taps have the weight 0.
struct Axis {
  int64_t outputs = 0, taps = 0;
  std::vector<int32_t> index;
  std::vector<float> weight;

  Axis(int64_t o, int64_t t) : outputs(o), taps(t), index(static_cast<size_t>(o * t)), weight(static_cast<size_t>(o * t)) {}
  size_t at(int64_t output, int64_t tap) const { return static_cast<size_t>(tap * outputs + output); }
  void set(int64_t output, int64_t tap, int64_t input, float value) {
    index[at(output, tap)] = static_cast<int32_t>(input);
    weight[at(output, tap)] = value;
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

LPNSR_VECTORISED void add_row(const float* source, float weight, int64_t width, float* line) {
  for (int64_t x = 0; x < width; ++x) line[x] += weight * source[x];
}

// Four rows at once, for the bicubic: one pass over the line instead of four.
LPNSR_VECTORISED void combine_rows(const float* const* rows, const float* weights, int64_t width, float* line) {
  const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  const float wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];
  for (int64_t x = 0; x < width; ++x) line[x] = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x];
}

LPNSR_VECTORISED void gather_row(const float* __restrict line, const int32_t* __restrict index, const float* __restrict weight,
                                 int64_t taps, int64_t outputs, float* __restrict out) {
  if (taps == 2) {
    for (int64_t x = 0; x < outputs; ++x) out[x] = weight[x] * line[index[x]] + weight[outputs + x] * line[index[outputs + x]];
  } else if (taps == 4) {
    const int32_t *i1 = index + outputs, *i2 = i1 + outputs, *i3 = i2 + outputs;
    const float *w1 = weight + outputs, *w2 = w1 + outputs, *w3 = w2 + outputs;
    for (int64_t x = 0; x < outputs; ++x) {
      out[x] = weight[x] * line[index[x]] + w1[x] * line[i1[x]] + w2[x] * line[i2[x]] + w3[x] * line[i3[x]];
    }
  } else {
    for (int64_t x = 0; x < outputs; ++x) out[x] = weight[x] * line[index[x]];
    for (int64_t k = 1; k < taps; ++k) {
      const int32_t* places = index + k * outputs;
      const float* weights = weight + k * outputs;
      for (int64_t x = 0; x < outputs; ++x) out[x] += weights[x] * line[places[x]];
    }
  }
}

Planes resample(const Planes& picture, const Axis& vertical, const Axis& horizontal) {
  Planes result(picture.channels, vertical.outputs, horizontal.outputs);
  Buffer<float> line(static_cast<size_t>(picture.width));
  for (int64_t c = 0; c < picture.channels; ++c) {
    for (int64_t y = 0; y < vertical.outputs; ++y) {
      const float* rows[4];
      float weights[4];
      if (vertical.taps == 4) {
        for (int64_t k = 0; k < 4; ++k) {
          rows[k] = picture.row(c, vertical.index[vertical.at(y, k)]);
          weights[k] = vertical.weight[vertical.at(y, k)];
        }
        combine_rows(rows, weights, picture.width, line.data());
      } else {
        std::fill(line.begin(), line.end(), 0.0F);
        for (int64_t k = 0; k < vertical.taps; ++k) {
          const float weight = vertical.weight[vertical.at(y, k)];
          if (weight != 0.0F) add_row(picture.row(c, vertical.index[vertical.at(y, k)]), weight, picture.width, line.data());
        }
      }
      gather_row(line.data(), horizontal.index.data(), horizontal.weight.data(), horizontal.taps, horizontal.outputs, result.row(c, y));
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
