#pragma once
// PNG written row by row: pictures larger than memory, gray with alpha and colour profiles, which OpenCV's writer does not offer.
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace lpnsr {

struct PngLayout {
  int64_t width = 0, height = 0;
  int64_t channels = 3;       // 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
  int64_t bit_depth = 8;      // 8 or 16
  std::string icc_profile{};  // empty: none
};

class PngWriter {
 public:
  PngWriter(std::ostream& out, const PngLayout& layout);
  ~PngWriter();
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  // The next row: width * channels samples, of 16 bits with the high byte first.
  void row(const unsigned char* samples);
  void finish();  // after the last row

 private:
  void chunk(const char* type, const std::string& data);
  void compress(int flush);

  struct Deflater;
  std::ostream& out_;
  size_t pixel_bytes_, row_bytes_;
  std::vector<unsigned char> previous_;                 // row, for the filters
  std::vector<unsigned char> candidates_[3], *chosen_;  // filtered rows, each with its filter's number in front
  std::unique_ptr<Deflater> deflater_;
};

}  // namespace lpnsr
