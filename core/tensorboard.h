#pragma once
// TensorBoard's event files: TFRecord framing (masked CRC-32C) around Event messages, written without protobuf since a handful of fields
// suffice.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace lpnsr {

class EventWriter {
 public:
  // A new file in `folder`; on a resume TensorBoard is told to forget what earlier files say of the steps after `last_step`.
  explicit EventWriter(const std::filesystem::path& folder, int64_t last_step = 0);
  void scalar(const std::string& tag, int64_t step, float value);
  void png(const std::string& tag, int64_t step, const std::string& bytes, int64_t height, int64_t width);
  const std::filesystem::path& path() const { return path_; }

 private:
  void record(const std::string& event);
  std::filesystem::path path_;
  std::ofstream file_;
};

uint32_t crc32c(std::string_view bytes);

}  // namespace lpnsr
