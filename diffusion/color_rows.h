#pragma once
// The colour fix of a picture that comes row by row: no more rows are held than the filters reach.
#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace lpnsr {

class ColorRows {
 public:
  using Take = std::function<void(const at::Tensor& rows)>;
  // lr: [1,3,h,w] in [0,1]. `take` gets rows [1,3,n,scale * w] in [0,1] of the fixed picture, from top to bottom.
  ColorRows(bool wavelet, at::Tensor lr, int64_t scale, Take take);
  // The next rows [1,3,n,scale * w] of the restored picture; after the last one everything has been taken.
  void add(const at::Tensor& rows);

 private:
  void give(int64_t count);

  bool wavelet_;
  at::Tensor lr_;
  int64_t scale_, height_;
  Take take_;
  at::Tensor held_;  // rows first_ to received_
  int64_t first_ = 0, received_ = 0, given_ = 0;
};

}  // namespace lpnsr
