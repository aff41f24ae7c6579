#include "core/png_writer.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <zlib.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 18;

std::string png_number(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::string zlib_compressed(const std::string& data) {
  uLongf size = compressBound(data.size());
  std::string bytes(size, '\0');
  if (compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(data.data()), data.size()) != Z_OK) {
    throw Error("a colour profile could not be compressed");
  }
  bytes.resize(size);
  return bytes;
}

int paeth(int left, int above, int corner) {
  const int to_left = std::abs(above - corner), to_above = std::abs(left - corner), to_corner = std::abs(left + above - 2 * corner);
  if (to_left <= to_above && to_left <= to_corner) return left;
  return to_above <= to_corner ? above : corner;
}

}  // namespace

struct PngWriter::Deflater {
  z_stream stream{};
  std::vector<unsigned char> space = std::vector<unsigned char>(kChunkBytes);
  Deflater() {
    // Filtered photographs hold hardly any repetition but runs: searching for more costs time and gains little.
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15, 9, Z_RLE) != Z_OK) throw Error("zlib could not be started");
    stream.next_out = space.data();
    stream.avail_out = static_cast<uInt>(space.size());
  }
  ~Deflater() { deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
};

PngWriter::PngWriter(std::ostream& out, const PngLayout& layout)
    : out_(out),
      pixel_bytes_(static_cast<size_t>(layout.channels * layout.bit_depth / 8)),
      row_bytes_(pixel_bytes_ * static_cast<size_t>(layout.width)),
      previous_(row_bytes_, 0),
      chosen_(candidates_),
      deflater_(std::make_unique<Deflater>()) {
  static constexpr std::array<unsigned char, 3> kFilters = {1, 2, 4};  // Sub, Up, Paeth
  static constexpr std::array<char, 5> kColourTypes = {0, 0, 4, 2, 6};
  for (size_t f = 0; f < kFilters.size(); ++f) {
    candidates_[f].resize(1 + row_bytes_);
    candidates_[f][0] = kFilters[f];
  }
  out_ << "\x89PNG\r\n\x1a\n";
  chunk("IHDR", png_number(static_cast<uint32_t>(layout.width)) + png_number(static_cast<uint32_t>(layout.height)) +
                    std::string({static_cast<char>(layout.bit_depth), kColourTypes[static_cast<size_t>(layout.channels)], 0, 0, 0}));
  if (!layout.icc_profile.empty()) chunk("iCCP", std::string("ICC profile\0\0", 13) + zlib_compressed(layout.icc_profile));
}

PngWriter::~PngWriter() = default;

void PngWriter::chunk(const char* type, const std::string& data) {
  const std::string body = type + data;
  out_ << png_number(static_cast<uint32_t>(data.size())) << body
       << png_number(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
}

void PngWriter::row(const unsigned char* samples) {
  // The filter whose differences sum up to least, as the PNG specification suggests.
  std::array<uint64_t, 3> sums{};
  const auto put = [&](size_t filter, size_t i, int difference) {
    const auto byte = static_cast<unsigned char>(difference);
    candidates_[filter][1 + i] = byte;
    sums[filter] += static_cast<uint64_t>(byte < 128 ? byte : 256 - byte);
  };
  for (size_t i = 0; i < row_bytes_; ++i) {
    const int value = samples[i], above = previous_[i];
    const int left = i >= pixel_bytes_ ? samples[i - pixel_bytes_] : 0, corner = i >= pixel_bytes_ ? previous_[i - pixel_bytes_] : 0;
    put(0, i, value - left);
    put(1, i, value - above);
    put(2, i, value - paeth(left, above, corner));
  }
  chosen_ = candidates_ + (std::min_element(sums.begin(), sums.end()) - sums.begin());
  previous_.assign(samples, samples + row_bytes_);
  compress(Z_NO_FLUSH);
}

void PngWriter::compress(int flush) {
  z_stream& stream = deflater_->stream;
  stream.next_in = flush == Z_FINISH ? nullptr : chosen_->data();
  stream.avail_in = flush == Z_FINISH ? 0 : static_cast<uInt>(chosen_->size());
  int state = Z_OK;
  do {
    state = deflate(&stream, flush);
    if (stream.avail_out == 0 || state == Z_STREAM_END) {
      const size_t used = deflater_->space.size() - stream.avail_out;
      chunk("IDAT", std::string(reinterpret_cast<const char*>(deflater_->space.data()), used));
      stream.next_out = deflater_->space.data();
      stream.avail_out = static_cast<uInt>(deflater_->space.size());
    }
  } while (flush == Z_FINISH ? state != Z_STREAM_END : stream.avail_in > 0);
}

void PngWriter::finish() {
  compress(Z_FINISH);
  chunk("IEND", "");
}

}  // namespace lpnsr
