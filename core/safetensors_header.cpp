#include "core/safetensors_header.h"

#include <limits>
#include <set>

#include <fmt/format.h>

#include "core/error.h"

namespace lpnsr {
namespace {

const std::vector<std::pair<std::string, c10::ScalarType>>& type_names() {
  static const std::vector<std::pair<std::string, c10::ScalarType>> names = {
      {"F64", at::kDouble},          {"F32", at::kFloat},  {"F16", at::kHalf},   {"BF16", at::kBFloat16}, {"F8_E4M3", at::kFloat8_e4m3fn},
      {"F8_E5M2", at::kFloat8_e5m2}, {"I64", at::kLong},   {"I32", at::kInt},    {"I16", at::kShort},     {"I8", at::kChar},
      {"U64", at::kUInt64},          {"U32", at::kUInt32}, {"U16", at::kUInt16}, {"U8", at::kByte},       {"BOOL", at::kBool}};
  return names;
}

// Receives the parser's events and knows the only three shapes of the header: entries, their fields, and lists of numbers. Nothing is kept
// that is not asked for, so neither depth nor size of a hostile header costs memory.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const ByteSource& source) : source_(source) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::before) {
      place_ = Place::root;
    } else if (place_ == Place::root && key_ == "__metadata__") {
      place_ = Place::metadata;
    } else if (place_ == Place::root) {
      header_.entries.push_back({key_, c10::ScalarType::Undefined, {}, 0, 0});
      fields_.clear();
      offsets_.clear();
      place_ = Place::entry;
    } else {
      unexpected("an object");
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::entry) finish_entry();
    place_ = place_ == Place::root ? Place::after : Place::root;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::entry || (field_ != "shape" && field_ != "data_offsets")) unexpected("a list");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }
  bool end_array() override {
    place_ = Place::entry;
    return true;
  }
  bool key(string_t& name) override {
    if (place_ == Place::root) {
      if (!keys_.insert(name).second) source_.fail(fmt::format("the header has '{}' twice", name));
      key_ = name;
    } else {
      field_ = name;
      if (place_ == Place::entry && !fields_.insert(name).second) source_.fail(fmt::format("the entry '{}' has '{}' twice", key_, name));
    }
    return true;
  }
  bool string(string_t& text) override {
    if (place_ == Place::metadata) {
      header_.metadata[field_] = text;
    } else if (place_ == Place::entry && field_ == "dtype") {
      const auto& names = type_names();
      const auto found = std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.first == text; });
      if (found == names.end()) source_.fail(fmt::format("the tensor '{}' has the unknown type '{}'", key_, text));
      header_.entries.back().type = found->second;
    } else {
      unexpected("a text");
    }
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      source_.fail(fmt::format("the number {} of '{}' is too large", value, key_));
    if (place_ == Place::shape) {
      header_.entries.back().shape.push_back(static_cast<int64_t>(value));
    } else if (place_ == Place::offsets) {
      offsets_.push_back(value);
    } else {
      unexpected("a number");
    }
    return true;
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a number that is not whole"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    source_.fail(fmt::format("the header is not JSON (at its byte {})", position));
  }

 private:
  enum class Place { before, root, metadata, entry, shape, offsets, after };

  bool unexpected(const std::string& what) { source_.fail(fmt::format("the header has {} where none belongs (in '{}')", what, key_)); }
  void finish_entry() {
    SafetensorsEntry& entry = header_.entries.back();
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) source_.fail(fmt::format("the tensor '{}' has no '{}'", key_, field));
    }
    if (fields_.size() != 3) source_.fail(fmt::format("the tensor '{}' has more fields than dtype, shape and data_offsets", key_));
    if (offsets_.size() != 2) source_.fail(fmt::format("the tensor '{}' has {} data_offsets instead of 2", key_, offsets_.size()));
    entry.begin = offsets_[0];
    entry.end = offsets_[1];
  }

  const ByteSource& source_;
  SafetensorsHeader header_;
  Place place_ = Place::before;
  std::string key_, field_;
  std::set<std::string> keys_, fields_;
  std::vector<uint64_t> offsets_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(const ByteSource& source, const std::string& json) {
  HeaderReader reader(source);
  nlohmann::json::sax_parse(json, &reader);
  return reader.take();
}

std::string safetensors_type_name(c10::ScalarType type) {
  for (const auto& [name, candidate] : type_names()) {
    if (candidate == type) return name;
  }
  return "";
}

}  // namespace lpnsr
