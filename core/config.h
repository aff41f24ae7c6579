#pragma once
// Typed configuration. A struct lists its fields once, in `void fields(FieldVisitor&)`; that list reads TOML, writes TOML, checks ranges,
// applies `--set section.key=value` and names the nearest key when one is unknown.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace lpnsr {

struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above = false;  // min itself is not allowed
};
inline constexpr Range any_value{};
inline constexpr Range positive{0.0, std::numeric_limits<double>::infinity(), true};
inline constexpr Range non_negative{0.0};
inline constexpr Range probability{0.0, 1.0};

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void boolean(std::string_view key, bool& value, std::string_view doc) = 0;
  virtual void integer(std::string_view key, int64_t& value, Range range, std::string_view doc) = 0;
  virtual void real(std::string_view key, double& value, Range range, std::string_view doc) = 0;
  virtual void text(std::string_view key, std::string& value, std::string_view doc) = 0;
  virtual void choice(std::string_view key, std::string& value, const std::vector<std::string>& allowed, std::string_view doc) = 0;
  virtual void integers(std::string_view key, std::vector<int64_t>& value, Range range, std::string_view doc) = 0;
  virtual void reals(std::string_view key, std::vector<double>& value, Range range, std::string_view doc) = 0;
  virtual void texts(std::string_view key, std::vector<std::string>& value, std::string_view doc) = 0;

  template <class Section>
  void section(std::string_view key, Section& value, std::string_view doc) {
    begin_section(key, doc);
    value.fields(*this);
    end_section();
  }

 protected:
  virtual void begin_section(std::string_view key, std::string_view doc) = 0;
  virtual void end_section() = 0;
};

// Anything with a list of fields, so that the functions below need no templates.
using FieldList = std::function<void(FieldVisitor&)>;
template <class Options>
FieldList fields_of(Options& options) {
  return [&options](FieldVisitor& visitor) { options.fields(visitor); };
}

inline constexpr std::string_view kSetOption = "--set ";

// Reads `path` (and, before it, the file or files that it `extends`, relative to it, later ones winning), then applies `overrides`
// ("section.key=value", the value in TOML syntax or a bare word). Throws UsageError that lists every fault with file, line, key and what
// would be right; before an override it says how people write one.
void read_config(const FieldList& fields, const std::filesystem::path& path, const std::vector<std::string>& overrides = {},
                 std::string_view override_option = kSetOption);
void read_config_text(const FieldList& fields, std::string_view toml, std::string_view origin,
                      const std::vector<std::string>& overrides = {}, std::string_view override_option = kSetOption);

// The complete, resolved configuration as TOML; reading it gives the same values.
std::string write_config(const FieldList& fields);

// "section.key: A here, B there" for each key whose value differs between two TOML texts written by write_config.
std::vector<std::string> config_differences(std::string_view here, std::string_view there);

}  // namespace lpnsr
