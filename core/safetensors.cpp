#include "core/safetensors.h"

#include <numeric>

#include <fmt/ranges.h>

#include "core/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/safetensors_header.h"
#include "core/tensor_bytes.h"

namespace lpnsr {
namespace {

constexpr uint64_t longest_header = 100'000'000;  // the official reader's limit

void check_layout(const ByteSource& source, std::vector<SafetensorsEntry> entries, uint64_t data_size) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    const std::string range = fmt::format("the tensor '{}' lies at bytes {} to {}", entry.key, entry.begin, entry.end);
    if (entry.end > data_size) source.fail(fmt::format("{}, but there are only {} bytes of data (truncated?)", range, data_size));
    if (entry.begin > entry.end) source.fail(range + ", which is backwards");
    if (entry.begin < covered) source.fail(range + ", which overlaps another tensor");
    if (entry.begin > covered) source.fail(fmt::format("{}, which leaves a gap after byte {}", range, covered));
    const auto bytes = byte_count(entry.shape, entry.type);
    if (!bytes || *bytes != entry.end - entry.begin) {
      source.fail(fmt::format("{}, which does not fit its shape [{}] of {}", range, fmt::join(entry.shape, ", "),
                              safetensors_type_name(entry.type)));
    }
    covered = entry.end;
  }
  if (covered != data_size) source.fail(fmt::format("{} bytes at the end belong to no tensor", data_size - covered));
}

std::string json_string(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("a safetensors file cannot have a name that is not UTF-8");
  }
}

std::string header_text(const StateDict& tensors, const std::vector<uint64_t>& begins, const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> parts;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) pairs.push_back(json_string(key) + ":" + json_string(value));
    parts.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  size_t i = 0;
  for (const auto& [key, tensor] : tensors) {
    const std::string type = safetensors_type_name(tensor.scalar_type());
    if (type.empty()) throw Error(fmt::format("'{}': a safetensors file has no type for {}", key, toString(tensor.scalar_type())));
    if (key == "__metadata__") throw Error("no tensor of a safetensors file can be called __metadata__");
    parts.push_back(fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", json_string(key), type,
                                fmt::join(tensor.sizes(), ","), begins[i], begins[i] + tensor.nbytes()));
    ++i;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(parts, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

bool looks_like_safetensors(const ByteSource& source) { return source.size() > 8 && source.read_text(8, 1) == "{"; }

SafetensorsContent parse_safetensors(const ByteSource& source) {
  const uint64_t length = source.read_little_endian(0, 8);
  if (length > longest_header) source.fail(fmt::format("a header of {} bytes is longer than a safetensors file can have", length));
  const std::string json = source.read_text(8, length);
  if (!json.starts_with('{')) source.fail("is not a safetensors file: the header does not begin with '{'");
  SafetensorsHeader header = parse_safetensors_header(source, json);
  const uint64_t start = 8 + length;
  check_layout(source, header.entries, source.size() - start);
  SafetensorsContent content;
  content.metadata = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.entries) {
    at::Tensor value = tensor_over_bytes(entry.shape, entry.type, source.mapped(start + entry.begin, entry.end - entry.begin));
    if (!value.defined()) {
      value = tensor_of_bytes(entry.shape, entry.type, [&](void* to, uint64_t count) { source.read(start + entry.begin, to, count); });
    }
    content.tensors.add(std::move(entry.key), std::move(value));
  }
  return content;
}

void write_safetensors(std::ostream& out, const StateDict& tensors, const std::map<std::string, std::string>& metadata) {
  const std::vector<std::pair<std::string, at::Tensor>> entries(tensors.begin(), tensors.end());
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return entries[a].second.element_size() > entries[b].second.element_size(); });
  std::vector<uint64_t> begins(entries.size());
  uint64_t end = 0;
  for (const size_t i : order) {
    begins[i] = end;
    end += entries[i].second.nbytes();
  }
  const std::string header = header_text(tensors, begins, metadata);
  for (int byte = 0; byte < 8; ++byte) out.put(static_cast<char>(header.size() >> (8 * byte) & 0xff));
  out << header;
  for (const size_t i : order) {
    const at::Tensor value = entries[i].second.detach().cpu().contiguous();
    out.write(static_cast<const char*>(value.const_data_ptr()), static_cast<std::streamsize>(value.nbytes()));
  }
}

WeightsFile read_safetensors(const std::filesystem::path& path, FileAccess access) {
  SafetensorsContent content = parse_safetensors(*open_file(path, access));
  WeightsFile file;
  file.tensors = std::move(content.tensors);
  file.metadata = std::move(content.metadata);
  file.format = "safetensors";
  return file;
}

void write_safetensors(const std::filesystem::path& path, const StateDict& tensors, const std::map<std::string, std::string>& metadata) {
  write_file_atomically(path, [&](std::ostream& out) { write_safetensors(out, tensors, metadata); });
}

}  // namespace lpnsr
