#pragma once
// The colour fix of a picture that comes row by row: no more rows are held than the fix reaches.
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

#include "diffusion/image_ops.h"

namespace lpnsr {

// A colour fix that makes a row of what lies within `reach` rows of it.
struct RowFix {
  int64_t reach = 0;
  // Rows `begin` to `end` of the whole restored picture -> the same rows, fixed; those within `reach` of an end that is not the picture's
  // own are not used. Undefined: no fix.
  std::function<at::Tensor(const at::Tensor& rows, int64_t begin, int64_t end)> apply = {};
};
// lr: [1,3,h,w] in [0,1], whose bicubic enlargement lends its colours.
RowFix wavelet_row_fix(const at::Tensor& lr, int64_t scale);
// `restored`: of the whole restored picture, which must have been seen once before.
RowFix adain_row_fix(const ChannelMoments& restored, const at::Tensor& lr, int64_t scale);

class ColorRows {
 public:
  using Take = std::function<void(const at::Tensor& rows)>;
  // `take` gets rows [1,3,n,W] in [0,1] of the fixed picture of `height` rows, from top to bottom.
  ColorRows(RowFix fix, int64_t height, Take take);
  // The next rows [1,3,n,W] of the restored picture; after the last one everything has been taken.
  void add(const at::Tensor& rows);

 private:
  void give(int64_t count);

  RowFix fix_;
  int64_t height_;
  Take take_;
  at::Tensor held_;  // rows first_ to received_
  int64_t first_ = 0, received_ = 0, given_ = 0;
};

}  // namespace lpnsr
