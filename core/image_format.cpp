#include "core/image_format.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <zlib.h>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

constexpr int64_t kLargestPicture = int64_t{1} << 28;  // pixels: 16384 x 16384

class Bytes {
 public:
  Bytes(std::string_view bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}
  bool has(size_t offset, size_t count) const { return offset <= bytes_.size() && count <= bytes_.size() - offset; }
  // 0 past the end.
  uint32_t number(size_t offset, size_t count) const {
    if (!has(offset, count)) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto byte = static_cast<unsigned char>(bytes_[offset + (big_endian_ ? i : count - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool big_endian_;
};

bool begins(std::string_view bytes, std::string_view signature) { return bytes.substr(0, signature.size()) == signature; }

[[noreturn]] void refuse(const std::string& origin, const std::string& what) { throw DataError(fmt::format("{}: {}", origin, what)); }

struct TiffEntry {
  uint32_t value, count;  // a value of more than four bytes: where in the file it is
};

// An entry of the first directory of a TIFF structure, which is also what EXIF is.
std::optional<TiffEntry> tiff_entry(std::string_view bytes, uint32_t tag) {
  if (bytes.size() < 8) return std::nullopt;
  const Bytes data(bytes, begins(bytes, "MM"));
  const size_t directory = data.number(4, 4);
  const size_t entries = data.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (!data.has(entry, 12)) return std::nullopt;
    if (data.number(entry, 2) == tag) {
      return TiffEntry{data.number(entry + 8, data.number(entry + 2, 2) == 3 ? 2 : 4), data.number(entry + 4, 4)};
    }
  }
  return std::nullopt;
}

int orientation_of(std::string_view exif) {
  if (begins(exif, std::string_view("Exif\0\0", 6))) exif.remove_prefix(6);
  const uint32_t value = tiff_entry(exif, 0x0112).value_or(TiffEntry{1, 1}).value;
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

// Of an iCCP chunk: a name, a zero, the method (0), the compressed profile. Empty where it cannot be decompressed: the picture can still be
// read.
std::string png_profile(std::string_view chunk) {
  constexpr size_t kLargest = size_t{16} << 20;
  const size_t name = chunk.find('\0');
  if (name == std::string_view::npos || name + 2 > chunk.size()) return "";
  const std::string_view packed = chunk.substr(name + 2);
  for (size_t room = std::max<size_t>(4096, 8 * packed.size()); room <= kLargest; room *= 4) {
    std::string profile(room, '\0');
    uLongf size = room;
    const int state =
        uncompress(reinterpret_cast<Bytef*>(profile.data()), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size());
    if (state == Z_OK) return profile.substr(0, size);
    if (state != Z_BUF_ERROR) return "";
  }
  return "";
}

// JPEG spreads a profile over numbered segments (ICC.1:2010, annex B.4).
class JpegProfile {
 public:
  void add(std::string_view segment) {
    if (segment.size() < 14 || !begins(segment, std::string_view("ICC_PROFILE\0", 12))) return;
    parts_[static_cast<unsigned char>(segment[12])] = segment.substr(14);
    announced_ = std::max<size_t>(announced_, static_cast<unsigned char>(segment[13]));
  }
  std::string whole() const {
    std::string profile;
    if (parts_.size() != announced_) return profile;  // a part is missing: useless
    for (const auto& part : parts_) profile += part.second;
    return profile;
  }

 private:
  std::map<int, std::string_view> parts_;
  size_t announced_ = 0;
};

ImageFormat examine_png(std::string_view bytes, const std::string& origin) {
  const Bytes data(bytes, true);
  ImageFormat format{.name = "PNG"};
  bool pixels = false;
  for (size_t at = 8; data.has(at, 12);) {
    const size_t length = data.number(at, 4);
    if (!data.has(at + 12, length)) break;
    const std::string_view type = bytes.substr(at + 4, 4);
    const auto* checked = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
    if (crc32(0, checked, static_cast<uInt>(length + 4)) != data.number(at + 8 + length, 4)) {
      refuse(origin, fmt::format("is damaged: the checksum of its PNG chunk at byte {} is wrong", at));
    }
    if (type == "IHDR") {
      format.width = data.number(at + 8, 4), format.height = data.number(at + 12, 4);
      const uint32_t color_type = data.number(at + 17, 1);
      format.gray = color_type == 0 || color_type == 4;
    } else if (type == "IDAT") {
      pixels = true;
    } else if (type == "eXIf") {
      format.orientation = orientation_of(bytes.substr(at + 8, length));
    } else if (type == "iCCP") {
      format.icc_profile = png_profile(bytes.substr(at + 8, length));
    } else if (type == "IEND") {
      if (!pixels) refuse(origin, "is damaged: a PNG without pixels");
      return format;
    }
    at += 12 + length;
  }
  refuse(origin, fmt::format("is truncated: its PNG chunks do not end within its {} bytes", bytes.size()));
}

ImageFormat examine_jpeg(std::string_view bytes, const std::string& origin) {
  const Bytes data(bytes, true);
  ImageFormat format{.name = "JPEG"};
  JpegProfile profile;
  size_t at = 2;
  while (data.has(at, 2)) {
    if (data.number(at, 1) != 0xFF) {  // entropy-coded data, or filler between segments
      at = std::min(bytes.find('\xFF', at), bytes.size());
      continue;
    }
    const uint32_t marker = data.number(at + 1, 1);
    if (marker == 0xFF) {
      ++at;
    } else if (marker == 0xD9) {
      format.icc_profile = profile.whole();
      return format;
    } else if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      at += 2;
    } else {
      const size_t length = data.number(at + 2, 2);
      const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
      if (frame) format.height = data.number(at + 5, 2), format.width = data.number(at + 7, 2);
      if (marker == 0xE1 && data.has(at + 4, length) && begins(bytes.substr(at + 4), "Exif")) {
        format.orientation = orientation_of(bytes.substr(at + 4, length - 2));
      }
      if (marker == 0xE2 && length > 2 && data.has(at + 4, length - 2)) profile.add(bytes.substr(at + 4, length - 2));
      at += 2 + std::max<size_t>(length, 2);
    }
  }
  refuse(origin, fmt::format("is truncated: a JPEG without its end marker ({} bytes)", bytes.size()));
}

ImageFormat examine_webp(std::string_view bytes, const std::string& origin) {
  const Bytes data(bytes, false);
  ImageFormat format{.name = "WebP"};
  const size_t end = size_t{data.number(4, 4)} + 8;
  if (end > bytes.size()) refuse(origin, fmt::format("is truncated: a WebP of {} bytes that has {}", end, bytes.size()));
  for (size_t at = 12; data.has(at, 8);) {
    const size_t length = data.number(at + 4, 4);
    const std::string_view type = bytes.substr(at, 4);
    if (type == "VP8X") {
      format.width = 1 + (data.number(at + 12, 4) & 0xFFFFFF), format.height = 1 + (data.number(at + 14, 4) >> 8);
    } else if (type == "EXIF" && data.has(at + 8, length)) {
      format.orientation = orientation_of(bytes.substr(at + 8, length));
    } else if (type == "ICCP" && data.has(at + 8, length)) {
      format.icc_profile = bytes.substr(at + 8, length);
    }
    at += 8 + length + length % 2;
  }
  return format;
}

ImageFormat examine_tiff(std::string_view bytes, const std::string& origin) {
  ImageFormat format{.name = "TIFF"};  // the decoder turns the picture by the tag itself
  const auto width = tiff_entry(bytes, 256), height = tiff_entry(bytes, 257), profile = tiff_entry(bytes, 34675);
  if (!width || !height) refuse(origin, "is damaged: a TIFF whose directory gives no size");
  format.width = width->value, format.height = height->value;
  if (profile && Bytes(bytes, false).has(profile->value, profile->count)) format.icc_profile = bytes.substr(profile->value, profile->count);
  return format;
}

ImageFormat examine_bmp(std::string_view bytes, const std::string& origin) {
  const Bytes data(bytes, false);
  ImageFormat format{.name = "BMP"};
  if (!data.has(0, 30)) refuse(origin, "is truncated: a BMP without its header");
  const bool old = data.number(14, 4) == 12;
  format.width = old ? data.number(18, 2) : static_cast<int32_t>(data.number(18, 4));
  format.height = old ? data.number(20, 2) : std::abs(int64_t{static_cast<int32_t>(data.number(22, 4))});
  const int64_t bits = data.number(old ? 24 : 28, 2), compression = old ? 0 : data.number(30, 4);
  const int64_t needed = data.number(10, 4) + (format.width * bits + 31) / 32 * 4 * format.height;
  if (compression == 0 && format.width > 0 && format.width * format.height <= kLargestPicture &&
      needed > static_cast<int64_t>(bytes.size())) {
    refuse(origin, fmt::format("is truncated: a BMP of {} bytes that has {}", needed, bytes.size()));
  }
  return format;
}

std::string beginning(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : bytes.substr(0, 12)) {
    text += std::isprint(byte) != 0 ? std::string(1, static_cast<char>(byte)) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

ImageFormat examine(std::string_view bytes, const std::string& origin) {
  if (begins(bytes, "\x89PNG\r\n\x1a\n")) return examine_png(bytes, origin);
  if (begins(bytes, "\xFF\xD8\xFF")) return examine_jpeg(bytes, origin);
  if (begins(bytes, "RIFF") && bytes.substr(std::min<size_t>(8, bytes.size()), 4) == "WEBP") return examine_webp(bytes, origin);
  if (begins(bytes, std::string_view("II*\0", 4)) || begins(bytes, std::string_view("MM\0*", 4))) return examine_tiff(bytes, origin);
  if (begins(bytes, "BM")) return examine_bmp(bytes, origin);
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
      std::isspace(static_cast<unsigned char>(bytes[2])) != 0) {
    return {.name = "PNM", .width = -1, .height = -1};
  }
  refuse(origin, fmt::format("is not an image: it begins with \"{}\" (PNG, JPEG, WebP, TIFF, BMP and PNM are read)", beginning(bytes)));
}

}  // namespace

ImageFormat examine_image(std::string_view bytes, const std::string& origin) {
  if (bytes.empty()) refuse(origin, "is empty");
  ImageFormat format = examine(bytes, origin);
  const bool in_header = format.name != "PNM" && !(format.name == "WebP" && format.width == 0);
  if (in_header && (format.width <= 0 || format.height <= 0)) {
    refuse(origin, fmt::format("is damaged: a {} of {} x {} pixels", format.name, format.width, format.height));
  }
  if (in_header && format.width > kLargestPicture / format.height) {
    refuse(origin,
           fmt::format("says that it has {} x {} pixels; at most {} million are read", format.width, format.height, kLargestPicture >> 20));
  }
  return format;
}

}  // namespace lpnsr
