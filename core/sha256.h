#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace lpnsr {

// SHA-256 (FIPS 180-4) as 64 hexadecimal digits. Published weight files carry the first eight in their names.
std::string sha256(std::string_view bytes);
std::string sha256_of_file(const std::filesystem::path& path);  // throws Error that names the path

}  // namespace lpnsr
