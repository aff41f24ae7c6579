#include "core/mat_file.h"

#include <cstring>
#include <zlib.h>

#include <ATen/Functions.h>
#include <fmt/ranges.h>

#include "core/byte_source.h"
#include "core/error.h"

namespace lpnsr {
namespace {

// MAT-File Format, "Data Types" and "Array Types".
enum MatType : uint64_t {
  mi_int8 = 1,
  mi_uint8,
  mi_int16,
  mi_uint16,
  mi_int32,
  mi_uint32,
  mi_single,
  mi_double = 9,
  mi_int64 = 12,
  mi_uint64,
  mi_matrix,
  mi_compressed
};
enum MatClass : uint64_t { mx_cell = 1, mx_struct = 2, mx_double = 6, mx_uint64 = 15 };
constexpr uint64_t header_size = 128;
constexpr uint64_t largest_inflated = uint64_t{1} << 32;
constexpr int deepest = 32;

struct Element {
  uint64_t type = 0, data = 0, size = 0, end = 0;
};

// A tag of eight bytes, or of four with the data of at most four bytes beside it.
Element element_at(const ByteSource& source, uint64_t at) {
  Element element;
  const uint64_t word = source.read_little_endian(at, 4);
  if (word >> 16 != 0) {
    element = {word & 0xffff, at + 4, word >> 16, at + 8};
    if (element.size > 4) source.fail("a small element of more than four bytes");
    return element;
  }
  element = {word, at + 8, source.read_little_endian(at + 4, 4), 0};
  const uint64_t padded = element.type == mi_compressed ? element.size : (element.size + 7) / 8 * 8;
  element.end = element.data + padded;
  // The last element may lack its padding.
  if (element.data + element.size > source.size()) source.fail("is truncated");
  return element;
}

uint64_t width_of(uint64_t type) {
  switch (type) {
    case mi_int8:
    case mi_uint8:
      return 1;
    case mi_int16:
    case mi_uint16:
      return 2;
    case mi_int32:
    case mi_uint32:
    case mi_single:
      return 4;
    case mi_double:
    case mi_int64:
    case mi_uint64:
      return 8;
    default:
      return 0;
  }
}

template <class Stored>
void widen(const std::string& bytes, std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored{};
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<double>(stored);
  }
}

std::vector<double> numbers_of(const ByteSource& source, const Element& element) {
  const uint64_t width = width_of(element.type);
  if (width == 0 || element.size % width != 0) source.fail(fmt::format("numbers of unknown type {}", element.type));
  const std::string bytes = source.read_text(element.data, element.size);
  std::vector<double> values(element.size / width);
  switch (element.type) {
    case mi_int8:
      widen<int8_t>(bytes, values);
      break;
    case mi_uint8:
      widen<uint8_t>(bytes, values);
      break;
    case mi_int16:
      widen<int16_t>(bytes, values);
      break;
    case mi_uint16:
      widen<uint16_t>(bytes, values);
      break;
    case mi_int32:
      widen<int32_t>(bytes, values);
      break;
    case mi_uint32:
      widen<uint32_t>(bytes, values);
      break;
    case mi_single:
      widen<float>(bytes, values);
      break;
    case mi_int64:
      widen<int64_t>(bytes, values);
      break;
    case mi_uint64:
      widen<uint64_t>(bytes, values);
      break;
    default:
      widen<double>(bytes, values);
  }
  return values;
}

// Column by column in the file, row by row in the tensor.
at::Tensor tensor_of(const std::vector<double>& values, const std::vector<int64_t>& dims) {
  const std::vector<int64_t> reversed(dims.rbegin(), dims.rend());
  auto tensor = at::empty(reversed, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  std::vector<int64_t> order;
  for (auto axis = static_cast<int64_t>(dims.size()); axis-- > 0;) order.push_back(axis);
  return tensor.permute(order).contiguous();
}

class MatReader {
 public:
  explicit MatReader(const ByteSource& source) : source_(source) {}

  std::pair<std::string, MatValue> matrix(const Element& element, int depth) const {
    MatValue value;
    if (element.size == 0) return {"", value};  // an empty cell
    if (depth > deepest) source_.fail("structs or cells within one another too deep");
    const uint64_t end = element.data + element.size;
    const auto flags = element_at(source_, element.data);
    const uint64_t array_class = source_.read_little_endian(flags.data, 4) & 0xff;
    const auto dims = element_at(source_, flags.end);
    uint64_t count = 1;
    for (const double side : numbers_of(source_, dims)) {
      if (side < 0) source_.fail("an array with a negative dimension");
      value.dims.push_back(static_cast<int64_t>(side));
      count *= static_cast<uint64_t>(side);
      // Nothing is allocated for what the file cannot hold.
      if (count > source_.size()) source_.fail("an array larger than the file");
    }
    const auto name = element_at(source_, dims.end);
    const std::string label = source_.read_text(name.data, name.size);
    uint64_t at = name.end;
    if (array_class == mx_cell) {
      value.kind = MatValue::Kind::cell;
      read_values(value, count, at, end, depth);
    } else if (array_class == mx_struct) {
      value.kind = MatValue::Kind::structure;
      const auto length = element_at(source_, at);
      const uint64_t longest = source_.read_little_endian(length.data, 4);
      const auto names = element_at(source_, length.end);
      if (longest == 0 || names.size % longest != 0) source_.fail("a struct with damaged names of its fields");
      for (uint64_t i = 0; i < names.size / longest; ++i)
        value.fields.emplace_back(source_.read_text(names.data + i * longest, longest).c_str());
      read_values(value, count * value.fields.size(), names.end, end, depth);
    } else if (array_class >= mx_double && array_class <= mx_uint64) {
      value.kind = MatValue::Kind::numbers;
      const auto values = numbers_of(source_, element_at(source_, at));
      if (values.size() != count) source_.fail(fmt::format("'{}' holds {} numbers where its size says {}", label, values.size(), count));
      value.numbers = tensor_of(values, value.dims);
    }
    return {label, std::move(value)};
  }

 private:
  void read_values(MatValue& value, uint64_t count, uint64_t at, uint64_t end, int depth) const {
    for (uint64_t i = 0; i < count; ++i) {
      if (at >= end) source_.fail("a struct or cell lacks values");
      const auto element = element_at(source_, at);
      if (element.type != mi_matrix) source_.fail("a struct or cell holds something else than arrays");
      value.values.push_back(matrix(element, depth + 1).second);
      at = element.end;
    }
  }

  const ByteSource& source_;
};

std::string inflated(const ByteSource& source, const Element& element) {
  const std::string packed = source.read_text(element.data, element.size);
  std::string bytes;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) source.fail("cannot be decompressed");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int state = Z_OK;
  std::string chunk(size_t{1} << 18, '\0');
  while (state == Z_OK && bytes.size() < largest_inflated) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    state = inflate(&stream, Z_NO_FLUSH);
    bytes.append(chunk.data(), chunk.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) source.fail("its compressed data are damaged");
  return bytes;
}

}  // namespace

const MatValue& MatValue::at(const std::string& field) const {
  const auto place = std::find(fields.begin(), fields.end(), field);
  if (kind != Kind::structure || place == fields.end() || values.size() != fields.size())
    throw Error(fmt::format("there is no field '{}' (there are {})", field, fmt::join(fields, ", ")));
  return values[static_cast<size_t>(place - fields.begin())];
}

std::vector<std::pair<std::string, MatValue>> read_mat(const std::filesystem::path& path) {
  const auto source = open_file(path);
  // Version 7.3 files are HDF5; the others end their header with the version 0x0100 and the characters IM of a little-endian machine.
  if (source->size() < header_size || source->read_little_endian(124, 4) != 0x4d490100)
    source->fail("is not a MATLAB file of version 5 to 7 (save it with -v7)");
  std::vector<std::pair<std::string, MatValue>> variables;
  for (uint64_t at = header_size; at + 8 <= source->size();) {
    const auto element = element_at(*source, at);
    if (element.type == mi_compressed) {
      const std::string bytes = inflated(*source, element);
      const auto inner = memory_source(bytes, source->name());
      const auto whole = element_at(*inner, 0);
      if (whole.type == mi_matrix) variables.push_back(MatReader(*inner).matrix(whole, 0));
    } else if (element.type == mi_matrix) {
      variables.push_back(MatReader(*source).matrix(element, 0));
    }
    at = element.end;
  }
  return variables;
}

}  // namespace lpnsr
