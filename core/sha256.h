#pragma once
// SHA-256 (FIPS 180-4), to recognise published files.
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lpnsr {

class Sha256 {
 public:
  void add(std::string_view bytes);
  std::string hexadecimal();  // ends the message

 private:
  void block(const unsigned char* bytes);
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> pending_{};
  size_t held_ = 0;
  uint64_t length_ = 0;
};

std::string sha256_of_file(const std::filesystem::path& path);  // throws Error that names the path

}  // namespace lpnsr
