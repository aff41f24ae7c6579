#pragma once
// Bicubic resizing of a picture that comes row by row.
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace lpnsr {

// The result is resize_bicubic's with antialiasing; no more rows are held than its kernel reaches.
class RowResizer {
 public:
  using Take = std::function<void(const at::Tensor& rows)>;
  // `take` gets rows [C,n,out_width], float32, from top to bottom; they are not clamped.
  RowResizer(int64_t height, int64_t out_height, int64_t out_width, Take take);
  // The next rows [C,n,W] of the picture; after its last one everything has been taken.
  void add(const at::Tensor& rows);

 private:
  struct Taps {
    int64_t begin, end;
  };
  Taps taps(int64_t out_row) const;                                    // rows that make a row of the result
  at::Tensor weights(int64_t begin, int64_t end, int64_t held) const;  // [result rows, held rows]

  int64_t height_, out_height_, out_width_;
  double step_;  // rows of the picture a row of the result
  Take take_;
  at::Tensor held_;  // rows first_ to received_, at the final width
  int64_t first_ = 0, received_ = 0, given_ = 0;
};

}  // namespace lpnsr
