#include "core/npy.h"

#include <charconv>
#include <cstring>

#include <ATen/Functions.h>

#include "core/byte_source.h"
#include "core/zip_archive.h"

namespace lpnsr {
namespace {

std::string header_value(const std::string& header, const std::string& key) {
  const size_t place = header.find("'" + key + "':");
  return place == std::string::npos ? "" : header.substr(header.find_first_not_of(' ', place + key.size() + 3));
}

std::vector<int64_t> shape_of(const std::string& text) {
  std::vector<int64_t> shape;
  const size_t end = text.find(')');
  for (size_t at = 1; at < end;) {
    int64_t side = 0;
    const auto [stop, fault] = std::from_chars(text.data() + at, text.data() + end, side);
    if (fault == std::errc()) {
      shape.push_back(side);
      at = static_cast<size_t>(stop - text.data());
    } else {
      ++at;
    }
  }
  return shape;
}

}  // namespace

StateDict read_npz(const std::filesystem::path& path) {
  const auto source = open_file(path);
  const ZipArchive archive(*source);
  StateDict arrays;
  for (const auto& [name, entry] : archive.entries()) {
    const std::string bytes = archive.read_text(name, entry);
    if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) continue;
    const bool first_version = bytes[6] == 1;
    const auto content = memory_source(bytes, path.string() + ": " + name);
    const uint64_t length = content->read_little_endian(8, first_version ? 2 : 4), begin = (first_version ? 10 : 12) + length;
    const std::string header = content->read_text(begin - length, length);
    const std::string type = header_value(header, "descr").substr(0, 5);
    if (type != "'<f8'" && type != "'<f4'") continue;
    auto shape = shape_of(header_value(header, "shape"));
    const bool by_columns = header_value(header, "fortran_order").starts_with("True");
    if (by_columns) std::reverse(shape.begin(), shape.end());
    uint64_t count = 1;
    for (const int64_t side : shape) count *= static_cast<uint64_t>(side);
    const bool wide = type == "'<f8'";
    if (count * (wide ? 8 : 4) != bytes.size() - begin) content->fail("is truncated");
    auto tensor = at::empty(shape, wide ? at::kDouble : at::kFloat);
    std::memcpy(tensor.data_ptr(), bytes.data() + begin, bytes.size() - begin);
    if (by_columns) tensor = tensor.t();
    arrays.add(std::filesystem::path(name).stem().string(), tensor.to(at::kDouble).contiguous());
  }
  return arrays;
}

}  // namespace lpnsr
