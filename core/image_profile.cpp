#include "core/image_profile.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lpnsr {
namespace {

uint32_t little_endian_at(const std::string& bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

std::string little_endian(uint64_t value, size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

// ICC.1:2010, annex B.4: segments APP2 of at most 65519 profile bytes, numbered from 1, behind the JFIF header.
std::string jpeg_with_profile(const std::string& bytes, const std::string& profile) {
  constexpr size_t kLargest = 65519;
  const size_t count = (profile.size() + kLargest - 1) / kLargest;
  if (count > 255) return bytes;
  std::string segments;
  for (size_t i = 0; i < count; ++i) {
    const std::string part = profile.substr(i * kLargest, kLargest);
    const size_t length = part.size() + 16;
    segments += std::string("\xFF\xE2") + static_cast<char>(length >> 8) + static_cast<char>(length & 0xFF) +
                std::string("ICC_PROFILE\0", 12) + static_cast<char>(i + 1) + static_cast<char>(count) + part;
  }
  size_t at = 2;
  if (bytes.compare(2, 2, "\xFF\xE0") == 0) {
    at += 2 + (size_t{static_cast<unsigned char>(bytes[4])} << 8 | static_cast<unsigned char>(bytes[5]));
  }
  return bytes.substr(0, at) + segments + bytes.substr(at);
}

// WebP container: the extended form begins with a VP8X chunk that announces what follows.
std::string webp_with_profile(const std::string& bytes, const std::string& profile) {
  constexpr char kHasProfile = 0x20, kHasAlpha = 0x10;
  const auto chunk = [](const std::string& type, const std::string& data) {
    return type + little_endian(data.size(), 4) + data + std::string(data.size() % 2, '\0');
  };
  std::string header, rest;
  if (bytes.compare(12, 4, "VP8X") == 0) {
    header = bytes.substr(20, 10);
    rest = bytes.substr(30);
  } else if (bytes.compare(12, 4, "VP8L") == 0) {  // a signature byte, then 14 bits of width - 1, 14 of height - 1, one for alpha
    const uint32_t bits = little_endian_at(bytes, 21, 4);
    const bool alpha = (bits >> 28 & 1) != 0;
    header = std::string({alpha ? kHasAlpha : '\0', 0, 0, 0}) + little_endian(bits & 0x3FFF, 3) + little_endian(bits >> 14 & 0x3FFF, 3);
    rest = bytes.substr(12);
  } else {
    return bytes;
  }
  header[0] = static_cast<char>(header[0] | kHasProfile);
  const std::string body = "WEBP" + chunk("VP8X", header) + chunk("ICCP", profile) + rest;
  return "RIFF" + little_endian(body.size(), 4) + body;
}

// TIFF 6.0: the directory is written anew behind everything else, with one entry more.
std::string tiff_with_profile(std::string bytes, const std::string& profile) {
  constexpr uint32_t kProfileTag = 34675, kUndefined = 7;
  if (bytes.compare(0, 4, std::string("II*\0", 4)) != 0) return bytes;
  const size_t directory = little_endian_at(bytes, 4, 4);
  const size_t count = little_endian_at(bytes, directory, 2);
  std::vector<std::string> entries;
  for (size_t i = 0; i < count; ++i) entries.push_back(bytes.substr(directory + 2 + 12 * i, 12));
  const std::string next = bytes.substr(directory + 2 + 12 * count, 4);
  bytes.resize((bytes.size() + 1) / 2 * 2);
  entries.push_back(little_endian(kProfileTag, 2) + little_endian(kUndefined, 2) + little_endian(profile.size(), 4) +
                    little_endian(bytes.size(), 4));
  std::sort(entries.begin(), entries.end(),
            [](const std::string& a, const std::string& b) { return little_endian_at(a, 0, 2) < little_endian_at(b, 0, 2); });
  bytes += profile + std::string(profile.size() % 2, '\0');
  bytes.replace(4, 4, little_endian(bytes.size(), 4));
  bytes += little_endian(entries.size(), 2);
  for (const auto& entry : entries) bytes += entry;
  return bytes + next;
}

}  // namespace

bool profile_describes(std::string_view profile, bool gray) {
  if (profile.size() < 132) return false;
  uint32_t size = 0;  // its first four bytes say how long it is
  for (const unsigned char byte : profile.substr(0, 4)) size = size << 8 | byte;
  return size == profile.size() && profile.substr(36, 4) == "acsp" && profile.substr(16, 4) == (gray ? "GRAY" : "RGB ");
}

std::string with_profile(std::string bytes, const std::string& format, const std::string& profile) {
  if (format == "JPEG") return jpeg_with_profile(bytes, profile);
  if (format == "WebP") return webp_with_profile(bytes, profile);
  if (format == "TIFF") return tiff_with_profile(std::move(bytes), profile);
  return bytes;
}

}  // namespace lpnsr
