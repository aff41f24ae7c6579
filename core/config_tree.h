#pragma once
// What a TOML file says, free of the parser's types: every value keeps where it was written. Inside of core/config.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config.h"

namespace lpnsr {

struct ConfigOrigin {
  std::string name;  // a file, or "--set key=value"
  int64_t line = 0;  // 0: the name says it all
  std::string text() const { return line > 0 ? name + ":" + std::to_string(line) : name; }
};

struct ConfigNode {
  enum class Kind { table, list, boolean, integer, real, text, other };  // other: dates and times, which no field wants
  Kind kind = Kind::table;
  ConfigOrigin origin;
  std::map<std::string, ConfigNode> table;
  std::vector<ConfigNode> list;
  std::variant<std::monostate, bool, int64_t, double, std::string> value;
  std::string raw;  // of an override: the characters after '='
};

// One TOML document; a syntax error is a UsageError with its line.
ConfigNode parse_config(std::string_view toml, const std::string& origin);
// The document with what it `extends` (a file, or a list of which later ones win) below it.
ConfigNode load_config(const std::filesystem::path& path);
// A value as after a key's '='; throws UsageError.
ConfigNode parse_config_value(std::string_view toml);
// Puts "section.key=value" over `root`; a fault of its form is a UsageError. `option`: what people write before it.
void apply_config_override(ConfigNode& root, const std::string& override_text, std::string_view option = kSetOption);

// TOML's notation; numbers read back to the same bits.
std::string toml_text(bool value);
std::string toml_text(int64_t value);
std::string toml_text(double value);
std::string toml_text(std::string_view value);
std::string toml_text(const ConfigNode& node);
std::string toml_key(std::string_view key);  // quoted where it must be
// "an integer", "a list", … for messages.
std::string describe(ConfigNode::Kind kind);

}  // namespace lpnsr
