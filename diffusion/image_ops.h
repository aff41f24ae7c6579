#pragma once
// The image operations around the chain (goldens/diffusion ops_*): padding and colour fixes; patches are in patches.h.
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace lpnsr {

enum class Mirror { repeat_edge, skip_edge };  // cba|abc or cb|abc
// Source index of each of `target` >= length positions when a row of `length` pixels is continued by mirroring at its ends, as often as it
// takes.
std::vector<int64_t> mirrored_indices(int64_t length, int64_t target, Mirror mirror);
// Continues [..,H,W] at the bottom and right to `height` x `width`. Any size from 1x1.
at::Tensor pad_mirrored(const at::Tensor& image, int64_t height, int64_t width, Mirror mirror);
int64_t round_up(int64_t length, int64_t multiple);
int64_t next_power_of_two(int64_t length);  // at least `length`

// Bottom and right: first to a multiple, repeating the edge pixel (cba|abc), then to a power of two not repeating it (cb|abc), as far as
// asked. Any size from 1x1: where a side is shorter than its padding the reflection goes back and forth.
at::Tensor pad_for_restoring(const at::Tensor& image, int64_t multiple, bool power_of_two);

// Low-pass [1 2 1] x [1 2 1] / 16 with its taps `radius` pixels apart and the edge replicated.
at::Tensor wavelet_blur(const at::Tensor& image, int64_t radius);
struct Wavelets {
  at::Tensor high, low;
};
// À-trous decomposition with radii 1, 2, 4, …: the sum of the detail bands and what remains.
Wavelets wavelet_decomposition(const at::Tensor& image, int64_t levels = 5);
// high(content) + low(style), not clamped; both [N,3,H,W].
at::Tensor wavelet_color_fix(const at::Tensor& content, const at::Tensor& style);
// Of each channel, [N,C,1,1]. The deviation is the root of the unbiased variance + 1e-5, as in StableSR and InvSR.
struct ChannelMoments {
  at::Tensor mean, deviation;
};
ChannelMoments channel_moments(const at::Tensor& image);
// The same of a picture [N,C,H,W] that comes in rows, summed in float64.
class MomentSums {
 public:
  void add(const at::Tensor& rows);
  ChannelMoments moments() const;  // float32

 private:
  at::Tensor sum_, squares_;
  int64_t count_ = 0;
};
// Gives each channel of `content`, or of some rows of it, the mean and deviation of `style`'s.
at::Tensor adain_color_fix(const at::Tensor& content, const ChannelMoments& of_content, const ChannelMoments& of_style);
at::Tensor adain_color_fix(const at::Tensor& content, const at::Tensor& style);

}  // namespace lpnsr
