#pragma once
// From the rows of a restored picture to its files.
#include <cstdint>
#include <filesystem>
#include <functional>

#include "core/image.h"

namespace lpnsr {

using TakeRestored = std::function<void(const at::Tensor& rows)>;  // [3,n,W], from top to bottom

// What a restored picture is made into: its LR picture tells depth, gray, transparency and colour profile.
struct RestoredPicture {
  const Image& low;
  int64_t network_scale = 4;  // of the rows that come
  double scale = 4.0;         // of the file; where it is another one the rows are resized
  Rounding rounding = Rounding::truncate;
  int64_t height() const;
  int64_t width() const;
};

// Runs `restore`, which hands the restored rows to its argument, and writes them as they come, rounded as published. `also` sees them at
// their final size.
void write_restored(const std::filesystem::path& path, const RestoredPicture& picture,
                    const std::function<void(const TakeRestored&)>& restore, const TakeRestored& also = {});

// Mean and standard deviation of several samples, pixel by pixel, gathered as their rows come (Welford's recurrence).
class SampleStatistics {
 public:
  SampleStatistics(int64_t height, int64_t width);
  void begin_sample();
  void add(const at::Tensor& rows);  // the next rows of the sample
  const at::Tensor& mean() const { return mean_; }
  at::Tensor spread() const;  // standard deviation (n - 1), [3,H,W]

 private:
  at::Tensor mean_, squares_;
  int64_t samples_ = 0, next_ = 0;
};

}  // namespace lpnsr
