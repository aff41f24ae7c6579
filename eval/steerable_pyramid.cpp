#include "eval/steerable_pyramid.h"

#include <cmath>
#include <numbers>

#include <ATen/Functions.h>

namespace lpnsr {
namespace {

using std::numbers::pi;

// A function sampled at equal steps and read by linear interpolation, constant outside, as the published programs tabulate their masks.
class Table {
 public:
  Table(double first, double step, std::vector<double> values) : first_(first), step_(step), values_(std::move(values)) {}
  double operator()(double x) const {
    const double place = (x - first_) / step_;
    if (!(place > 0)) return values_.front();
    const auto index = static_cast<size_t>(place);
    if (index + 1 >= values_.size()) return values_.back();
    return values_[index] + (place - static_cast<double>(index)) * (values_[index + 1] - values_[index]);
  }
  Table moved(double by) const { return {first_ + by, step_, values_}; }

 private:
  double first_, step_;
  std::vector<double> values_;
};

struct Masks {
  Table high, low;    // of log2 of the radius: raised cosines whose squares sum to one
  Table orientation;  // of the angle
};

Masks masks(int64_t orientations) {
  constexpr int64_t steps = 256, angle_steps = 1024;
  std::vector<double> high, low, angular;
  for (int64_t i = -steps - 1; i < 2; ++i) {
    // The first and the last entry repeat their neighbours.
    const auto k = static_cast<double>(std::clamp<int64_t>(i, -steps, 0));
    const double cosine = std::cos(pi * k / 2 / steps);
    high.push_back(std::sqrt(cosine * cosine));
    low.push_back(std::sqrt(1 - high.back() * high.back()));
  }
  const auto order = static_cast<double>(orientations - 1);
  const double factorial = std::tgamma(order + 1);
  const double constant = std::pow(2, 2 * order) * factorial * factorial / (static_cast<double>(orientations) * std::tgamma(2 * order + 1));
  for (int64_t i = -(2 * angle_steps + 1); i < angle_steps + 2; ++i) {
    const double x = pi * static_cast<double>(i) / angle_steps;
    const double turned = x + pi - 2 * pi * std::floor((x + pi) / (2 * pi)) - pi;
    angular.push_back(std::abs(turned) < pi / 2 ? 2 * std::sqrt(constant) * std::pow(std::cos(x), order) : 0.0);
  }
  const double first = -0.5 + 2 / pi * (pi * (-steps - 1) / 2 / steps + pi / 4), step = 1.0 / steps;
  return {Table(first, step, high), Table(first, step, low), Table(-pi * (2 * angle_steps + 1) / angle_steps, pi / angle_steps, angular)};
}

// Frequencies of the transform with zero in the middle: log2 of the radius and the angle.
struct Frequencies {
  Plane log_radius, angle;
};

Frequencies frequencies(int64_t height, int64_t width) {
  Frequencies result{Plane(height, width), Plane(height, width)};
  const auto place = [](int64_t i, int64_t count) { return static_cast<double>(i - count / 2) / (static_cast<double>(count) / 2); };
  for_rows(height, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const double v = place(y, height);
      for (int64_t x = 0; x < width; ++x) {
        const double u = place(x, width);
        result.angle.row(y)[x] = std::atan2(v, u);
        result.log_radius.row(y)[x] = std::log2(std::sqrt(u * u + v * v));
      }
    }
  });
  result.log_radius.row(height / 2)[width / 2] = result.log_radius.row(height / 2)[width / 2 - 1];
  return result;
}

// The published program keeps its masks in float32.
at::Tensor sampled(const Table& table, const Plane& at) {
  auto mask = at::empty({at.height, at.width}, at::kDouble);
  double* to = mask.data_ptr<double>();
  for_rows(at.height, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * at.width; i < end * at.width; ++i)
      to[i] = static_cast<double>(static_cast<float>(table(at.values[static_cast<size_t>(i)])));
  });
  return mask;
}

Plane real_inverse(const at::Tensor& spectrum) { return plane_of(at::real(at::fft_ifft2(at::fft_ifftshift(spectrum)))); }

// The middle half of `count` frequencies: first and number.
std::pair<int64_t, int64_t> middle(int64_t count) {
  const auto n = static_cast<double>(count);
  const double half = std::ceil((n - 0.5) / 2);
  return {static_cast<int64_t>(std::ceil((n + 0.5) / 2) - std::ceil((half + 0.5) / 2)), static_cast<int64_t>(half)};
}

}  // namespace

SteerablePyramid steerable_pyramid(const Plane& image, int64_t levels, int64_t orientations) {
  const Masks mask = masks(orientations);
  auto at_frequency = frequencies(image.height, image.width);
  const auto whole = at::fft_fftshift(at::fft_fft2(tensor_of(image)));
  SteerablePyramid pyramid;
  pyramid.high = real_inverse(whole * sampled(mask.high, at_frequency.log_radius));
  auto low = whole * sampled(mask.low, at_frequency.log_radius);
  // (-i)^(orientations - 1) makes the bands of an even number of orientations real and odd.
  static constexpr std::array<std::array<double, 2>, 4> powers = {{{1, 0}, {0, -1}, {-1, 0}, {0, 1}}};
  const auto& [real, imaginary] = powers[static_cast<size_t>(orientations - 1) % 4];
  const c10::Scalar factor(c10::complex<double>(real, imaginary));
  for (int64_t level = 1; level <= levels; ++level) {
    const auto octave = -static_cast<double>(level);
    const auto band = low * sampled(mask.high.moved(octave), at_frequency.log_radius);
    auto& bands = pyramid.levels.emplace_back();
    for (int64_t b = 0; b < orientations; ++b) {
      const auto angular =
          sampled(mask.orientation.moved(pi * static_cast<double>(b) / static_cast<double>(orientations)), at_frequency.angle);
      bands.push_back(real_inverse(band * angular * factor));
    }
    if (level == levels) break;
    const auto [top, height] = middle(low.size(0));
    const auto [left, width] = middle(low.size(1));
    at_frequency = {part_of(at_frequency.log_radius, top, left, height, width), part_of(at_frequency.angle, top, left, height, width)};
    low = low.narrow(0, top, height).narrow(1, left, width) * sampled(mask.low.moved(octave), at_frequency.log_radius);
  }
  return pyramid;
}

}  // namespace lpnsr
