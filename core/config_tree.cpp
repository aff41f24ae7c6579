#include "core/config_tree.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "core/error.h"
#include "core/files.h"

namespace lpnsr {
namespace {

ConfigNode convert(const toml::node& node, const std::string& origin) {
  ConfigNode result;
  result.origin = {origin, node.source().begin.line};
  if (const auto* table = node.as_table()) {
    result.kind = ConfigNode::Kind::table;
    for (const auto& [key, child] : *table) result.table.emplace(std::string(key.str()), convert(child, origin));
  } else if (const auto* list = node.as_array()) {
    result.kind = ConfigNode::Kind::list;
    for (const auto& child : *list) result.list.push_back(convert(child, origin));
  } else if (const auto* boolean = node.as_boolean()) {
    result.kind = ConfigNode::Kind::boolean;
    result.value = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    result.kind = ConfigNode::Kind::integer;
    result.value = integer->get();
  } else if (const auto* real = node.as_floating_point()) {
    result.kind = ConfigNode::Kind::real;
    result.value = real->get();
  } else if (const auto* text = node.as_string()) {
    result.kind = ConfigNode::Kind::text;
    result.value = text->get();
  } else {
    result.kind = ConfigNode::Kind::other;
    std::ostringstream written;
    written << toml::toml_formatter(node);
    result.value = written.str();
  }
  return result;
}

// `top`'s keys win, one by one; tables are merged, everything else is replaced whole.
void overlay(ConfigNode& base, ConfigNode&& top) {
  if (base.kind != ConfigNode::Kind::table || top.kind != ConfigNode::Kind::table) {
    base = std::move(top);
    return;
  }
  base.origin = top.origin;
  for (auto& [key, child] : top.table) {
    const auto [place, is_new] = base.table.try_emplace(key);
    if (is_new) {
      place->second = std::move(child);
    } else {
      overlay(place->second, std::move(child));
    }
  }
}

// What `extends` names: a file or several, of which a later one's keys win.
std::vector<std::filesystem::path> bases_of(const ConfigNode& extends, const std::filesystem::path& folder) {
  const std::vector<ConfigNode> one{extends};
  std::vector<std::filesystem::path> bases;
  for (const ConfigNode& named : extends.kind == ConfigNode::Kind::list ? extends.list : one) {
    const auto* name = std::get_if<std::string>(&named.value);
    if (named.kind != ConfigNode::Kind::text || name->empty()) {
      throw UsageError(
          fmt::format("{}: extends: must be the name of a TOML file or a list of them, got {}", extends.origin.text(), toml_text(extends)));
    }
    bases.push_back((folder / *name).lexically_normal());
    if (!std::filesystem::exists(bases.back())) {
      throw UsageError(fmt::format("{}: extends: there is no file '{}'", extends.origin.text(), bases.back().string()));
    }
  }
  return bases;
}

// `chain`: the files that are being read, each extended by the one before.
ConfigNode load_chain(const std::filesystem::path& path, std::vector<std::filesystem::path>& chain) {
  const std::filesystem::path identity = std::filesystem::weakly_canonical(path);
  chain.push_back(identity);
  if (std::find(chain.begin(), chain.end() - 1, identity) != chain.end() - 1) {
    std::string names;
    for (const auto& file : chain) names += (names.empty() ? "" : " -> ") + file.filename().string();
    throw UsageError(fmt::format("{}: `extends` goes in a circle: {}", path.string(), names));
  }
  std::string text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  ConfigNode own = parse_config(text, path.string()), result;
  if (auto extends = own.table.extract("extends")) {
    for (const auto& base : bases_of(extends.mapped(), path.parent_path())) overlay(result, load_chain(base, chain));
  }
  overlay(result, std::move(own));
  chain.pop_back();
  return result;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

}  // namespace

ConfigNode parse_config(std::string_view toml, const std::string& origin) {
  try {
    return convert(toml::parse(toml, std::string_view(origin)), origin);
  } catch (const toml::parse_error& error) {
    throw UsageError(fmt::format("{}:{}: not valid TOML: {}", origin, error.source().begin.line, error.description()));
  }
}

ConfigNode load_config(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> chain;
  return load_chain(path, chain);
}

ConfigNode parse_config_value(std::string_view toml) {
  ConfigNode document = parse_config("value = " + std::string(toml), "value");
  if (document.table.size() != 1) throw UsageError("more than one value");
  return std::move(document.table.begin()->second);
}

void apply_config_override(ConfigNode& root, const std::string& override_text, std::string_view option) {
  const std::string name = std::string(option) + override_text;
  const size_t equals = override_text.find('=');
  const std::string path = trimmed(std::string_view(override_text).substr(0, equals));
  if (equals == std::string::npos || path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos) {
    throw UsageError(fmt::format("{}: must be section.key=value", name));
  }
  const std::string raw = trimmed(std::string_view(override_text).substr(equals + 1));
  ConfigNode value;
  try {
    value = parse_config_value(raw);
  } catch (const UsageError&) {
    try {
      value = parse_config_value(toml_text(std::string_view(raw)));
    } catch (const UsageError&) {
      throw UsageError(fmt::format("{}: the value is not valid UTF-8", name));
    }
  }
  value.raw = raw;
  ConfigNode top = std::move(value);
  const auto mark = [&](auto&& self, ConfigNode& node) -> void {
    node.origin = {name, 0};
    for (auto& child : node.list) self(self, child);
    for (auto& [key, child] : node.table) self(self, child);
  };
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t dot = rest.rfind('.');
    ConfigNode section;
    section.table.emplace(trimmed(rest.substr(dot == std::string_view::npos ? 0 : dot + 1)), std::move(top));
    top = std::move(section);
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(0, dot);
  }
  mark(mark, top);
  overlay(root, std::move(top));
}

std::string toml_text(bool value) { return value ? "true" : "false"; }

std::string toml_text(int64_t value) { return std::to_string(value); }

std::string toml_text(double value) {
  std::string text = fmt::format("{}", value);  // the shortest that reads back to the same bits
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(std::string_view value) {
  std::string text = "\"";
  for (const char character : value) {
    const auto code = static_cast<unsigned char>(character);
    if (character == '"' || character == '\\') {
      text += '\\';
      text += character;
    } else if (character == '\n') {
      text += "\\n";
    } else if (character == '\t') {
      text += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      text += fmt::format("\\u{:04x}", code);
    } else {
      text += character;
    }
  }
  return text + '"';
}

std::string toml_text(const ConfigNode& node) {
  std::string text;
  switch (node.kind) {
    case ConfigNode::Kind::table:
      for (const auto& [key, child] : node.table) text += (text.empty() ? "" : ", ") + toml_key(key) + " = " + toml_text(child);
      return "{" + text + "}";
    case ConfigNode::Kind::list:
      for (const auto& child : node.list) text += (text.empty() ? "" : ", ") + toml_text(child);
      return "[" + text + "]";
    case ConfigNode::Kind::boolean:
      return toml_text(std::get<bool>(node.value));
    case ConfigNode::Kind::integer:
      return toml_text(std::get<int64_t>(node.value));
    case ConfigNode::Kind::real:
      return toml_text(std::get<double>(node.value));
    case ConfigNode::Kind::text:
      return toml_text(std::string_view(std::get<std::string>(node.value)));
    case ConfigNode::Kind::other:
      return std::get<std::string>(node.value);
  }
  return text;
}

std::string toml_key(std::string_view key) {
  const bool bare =
      !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
  return bare ? std::string(key) : toml_text(key);
}

std::string describe(ConfigNode::Kind kind) {
  switch (kind) {
    case ConfigNode::Kind::table:
      return "a section";
    case ConfigNode::Kind::list:
      return "a list";
    case ConfigNode::Kind::boolean:
      return "a boolean";
    case ConfigNode::Kind::integer:
      return "an integer";
    case ConfigNode::Kind::real:
      return "a real number";
    case ConfigNode::Kind::text:
      return "text";
    case ConfigNode::Kind::other:
      return "a date or time";
  }
  return "";
}

}  // namespace lpnsr
