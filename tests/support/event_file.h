#pragma once
// Reads TensorBoard's event files by the published format, for the tests of what writes them.
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/files.h"
#include "core/tensorboard.h"

namespace lpnsr::testing {

template <class Number>
Number little_endian_at(std::string_view text, size_t place) {
  static_assert(std::endian::native == std::endian::little);
  Number number{};
  std::memcpy(&number, text.substr(place, sizeof(Number)).data(), sizeof(Number));
  return number;
}

// A protobuf message: the values of each field number, numbers as their bits.
struct Message {
  std::multimap<uint64_t, uint64_t> numbers;
  std::multimap<uint64_t, std::string> bytes;
  uint64_t number(uint64_t field) const { return numbers.count(field) == 1 ? numbers.find(field)->second : ~uint64_t{0}; }
  std::string text(uint64_t field) const { return bytes.count(field) == 1 ? bytes.find(field)->second : "(absent)"; }
};

inline uint64_t take_varint(std::string_view& text) {
  uint64_t value = 0;
  for (int shift = 0; !text.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(text.front());
    text.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

inline Message parse_message(std::string_view text) {
  Message message;
  while (!text.empty()) {
    const uint64_t tag = take_varint(text), field = tag >> 3;
    switch (tag & 7) {
      case 0:
        message.numbers.emplace(field, take_varint(text));
        break;
      case 1:
        message.numbers.emplace(field, little_endian_at<uint64_t>(text, 0));
        text.remove_prefix(8);
        break;
      case 2: {
        const uint64_t length = take_varint(text);
        message.bytes.emplace(field, text.substr(0, length));
        text.remove_prefix(length);
        break;
      }
      case 5:
        message.numbers.emplace(field, little_endian_at<uint32_t>(text, 0));
        text.remove_prefix(4);
        break;
      default:
        ADD_FAILURE() << "wire type " << (tag & 7);
        return message;
    }
  }
  return message;
}

inline uint32_t unmasked(uint32_t crc) {
  const uint32_t rotated = crc - 0xA282EAD8U;
  return (rotated >> 17) | (rotated << 15);
}

// The events of all records; the test fails where framing or a checksum is wrong.
inline std::vector<Message> read_events(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  std::vector<Message> events;
  size_t place = 0;
  while (place + 16 <= text.size()) {
    const std::string_view rest = std::string_view(text).substr(place);
    const auto length = little_endian_at<uint64_t>(rest, 0);
    EXPECT_EQ(unmasked(little_endian_at<uint32_t>(rest, 8)), crc32c(rest.substr(0, 8)));
    if (length > rest.size() - 16) break;
    const std::string_view payload = rest.substr(12, length);
    EXPECT_EQ(unmasked(little_endian_at<uint32_t>(rest, 12 + length)), crc32c(payload));
    events.push_back(parse_message(payload));
    place += 16 + length;
  }
  EXPECT_EQ(place, text.size()) << "bytes after the last record";
  return events;
}

inline std::vector<std::filesystem::path> event_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace lpnsr::testing
