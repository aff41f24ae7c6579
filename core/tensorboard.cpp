#include "core/tensorboard.h"

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

template <class Word>
std::string little_endian(Word word) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Word); ++i) bytes += static_cast<char>((word >> (8 * i)) & 0xFF);
  return bytes;
}

// CRC-32C (Castagnoli, reflected 0x82F63B78), by bytes.
constexpr std::array<uint32_t, 256> castagnoli_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t remainder = i;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = remainder;
  }
  return table;
}

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian<uint32_t>(((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
}

// protobuf's wire format: a field is its number and wire type, then the value.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string tag_of(uint64_t field, WireType type) { return varint(field << 3 | type); }
std::string integer_field(uint64_t field, int64_t value) { return tag_of(field, kVarint) + varint(static_cast<uint64_t>(value)); }
std::string bytes_field(uint64_t field, const std::string& bytes) { return tag_of(field, kBytes) + varint(bytes.size()) + bytes; }
std::string float_field(uint64_t field, float value) { return tag_of(field, kFixed32) + little_endian(std::bit_cast<uint32_t>(value)); }
std::string double_field(uint64_t field, double value) { return tag_of(field, kFixed64) + little_endian(std::bit_cast<uint64_t>(value)); }

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// Event: wall_time = 1, step = 2, then one of file_version = 3, summary = 5, session_log = 7.
std::string event(int64_t step, const std::string& what) { return double_field(1, now()) + integer_field(2, step) + what; }

// Summary { Value { tag = 1, … } = 1 }.
std::string summary(const std::string& tag, const std::string& value) {
  return bytes_field(5, bytes_field(1, bytes_field(1, tag) + value));
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = castagnoli_table();
  uint32_t remainder = ~0U;
  for (const char byte : bytes) remainder = kTable[(remainder ^ static_cast<uint8_t>(byte)) & 0xFF] ^ (remainder >> 8);
  return ~remainder;
}

EventWriter::EventWriter(const std::filesystem::path& folder, int64_t last_step) {
  static std::atomic<int> counter{0};
  path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(now()), host_name(), getpid(), counter++);
  file_.open(path_, std::ios::binary);
  record(event(0, bytes_field(3, "brain.Event:2")));
  // A session's START at a step makes TensorBoard drop what earlier files of the run say from there on.
  record(event(last_step > 0 ? last_step + 1 : 0, bytes_field(7, integer_field(1, 1))));
}

void EventWriter::scalar(const std::string& tag, int64_t step, float value) { record(event(step, summary(tag, float_field(2, value)))); }

void EventWriter::png(const std::string& tag, int64_t step, const std::string& bytes, int64_t height, int64_t width) {
  constexpr int64_t kRgb = 3;
  const std::string image = integer_field(1, height) + integer_field(2, width) + integer_field(3, kRgb) + bytes_field(4, bytes);
  record(event(step, summary(tag, bytes_field(4, image))));
}

void EventWriter::record(const std::string& bytes) {
  const std::string length = little_endian<uint64_t>(bytes.size());
  file_ << length << masked_crc(length) << bytes << masked_crc(bytes) << std::flush;
  if (!file_) throw Error(fmt::format("{}: cannot be written; is the disk full?", path_.string()));
}

}  // namespace lpnsr
