#include "core/config_reader.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/ranges.h>

#include "core/error.h"

namespace lpnsr {
namespace {

using Kind = ConfigNode::Kind;

// A converted value, or what is wrong with it.
template <class Value>
struct Converted {
  std::optional<Value> value;
  std::string fault;
};

std::string wanted(std::string_view what, const ConfigNode& node) {
  return fmt::format("must be {}, got {}", what, node.kind == Kind::table ? describe(node.kind) : toml_text(node));
}

std::string number_text(double number) {
  const std::string text = toml_text(number);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

std::string outside(double number, const Range& range) {
  const bool low = range.above ? !(number > range.min) : !(number >= range.min);
  const bool high = !(number <= range.max);
  if (!low && !high) return "";
  const bool bounded_below = std::isfinite(range.min), bounded_above = std::isfinite(range.max);
  const std::string got = ", got " + number_text(number);
  if (bounded_below && bounded_above && !range.above)
    return fmt::format("must lie in [{}, {}]", number_text(range.min), number_text(range.max)) + got;
  if (bounded_below && bounded_above) return fmt::format("must lie in ({}, {}]", number_text(range.min), number_text(range.max)) + got;
  if (bounded_below) return fmt::format("must be {} {}", range.above ? "above" : "at least", number_text(range.min)) + got;
  return "must be at most " + number_text(range.max) + got;
}

Converted<int64_t> to_integer(const ConfigNode& node, const Range& range) {
  if (node.kind == Kind::real) {
    const double number = std::get<double>(node.value);
    const bool whole = std::trunc(number) == number && std::abs(number) < 9e15;
    return {{}, wanted("an integer", node) + (whole ? "; write " + std::to_string(static_cast<int64_t>(number)) : "")};
  }
  if (node.kind != Kind::integer) return {{}, wanted("an integer", node)};
  const int64_t number = std::get<int64_t>(node.value);
  if (const std::string fault = outside(static_cast<double>(number), range); !fault.empty()) return {{}, fault};
  return {number, ""};
}

Converted<double> to_real(const ConfigNode& node, const Range& range) {
  if (node.kind != Kind::integer && node.kind != Kind::real) return {{}, wanted("a number", node)};
  const double number = node.kind == Kind::real ? std::get<double>(node.value) : static_cast<double>(std::get<int64_t>(node.value));
  if (!std::isfinite(number)) return {{}, wanted("a finite number", node)};
  if (const std::string fault = outside(number, range); !fault.empty()) return {{}, fault};
  return {number, ""};
}

// An override's bare characters are text where text is wanted, even if they read as a number.
Converted<std::string> to_text(const ConfigNode& node) {
  if (node.kind == Kind::text) return {std::get<std::string>(node.value), ""};
  if (!node.raw.empty() && node.kind != Kind::list && node.kind != Kind::table) return {node.raw, ""};
  return {{}, wanted("text", node)};
}

}  // namespace

void ConfigFaults::add(const ConfigOrigin& origin, const std::string& key, const std::string& what) {
  faults_.push_back({origin, fmt::format("{}: {}: {}", origin.text(), key, what)});
}

void ConfigFaults::add(const std::string& text) { faults_.emplace_back().text = text; }

void ConfigFaults::throw_if_any() const {
  if (faults_.empty()) return;
  if (faults_.size() == 1) throw UsageError(faults_.front().text);
  auto sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return a.origin.name != b.origin.name ? a.origin.name < b.origin.name : a.origin.line < b.origin.line;
  });
  std::string text = fmt::format("{} faults in the configuration:", sorted.size());
  for (const auto& fault : sorted) text += "\n  " + fault.text;
  throw UsageError(text);
}

ConfigReader::ConfigReader(const ConfigNode& root, ConfigFaults& faults) : root_(root), faults_(faults), sections_{&root} {}

std::string ConfigReader::path_of(std::string_view key) const {
  std::string path;
  for (const auto& name : names_) path += name + ".";
  path += key;
  if (key.empty() && !path.empty()) path.pop_back();
  return path;
}

const ConfigNode* ConfigReader::find(std::string_view key) {
  const ConfigNode* section = sections_.back();
  if (section == nullptr) return nullptr;
  const auto found = section->table.find(std::string(key));
  return found == section->table.end() ? nullptr : &found->second;
}

template <class Value, class Convert>
void ConfigReader::one(std::string_view key, Value& value, const Convert& convert) {
  fields_[path_of("")].emplace_back(key);
  const ConfigNode* node = find(key);
  if (node == nullptr) return;
  Converted<Value> converted = convert(*node);
  if (converted.value) {
    value = std::move(*converted.value);
  } else {
    faults_.add(node->origin, path_of(key), converted.fault);
  }
}

template <class Value, class Convert>
void ConfigReader::many(std::string_view key, std::vector<Value>& value, bool numbers, const Convert& convert) {
  fields_[path_of("")].emplace_back(key);
  const ConfigNode* node = find(key);
  if (node == nullptr) return;
  std::vector<ConfigNode> elements = node->kind == Kind::list ? node->list : std::vector<ConfigNode>{*node};
  if (numbers && node->kind == Kind::text && !node->raw.empty()) {  // --set key=4,3,2
    try {
      elements = parse_config_value("[" + node->raw + "]").list;
    } catch (const UsageError&) {
    }
  }
  std::vector<Value> read;
  for (size_t i = 0; i < elements.size(); ++i) {
    Converted<Value> converted = convert(elements[i]);
    if (converted.value) {
      read.push_back(std::move(*converted.value));
    } else {
      const std::string place = elements.size() > 1 ? fmt::format("{}[{}]", path_of(key), i) : path_of(key);
      faults_.add(elements[i].origin.name == node->origin.name ? elements[i].origin : node->origin, place, converted.fault);
    }
  }
  if (read.size() == elements.size()) value = std::move(read);
}

void ConfigReader::boolean(std::string_view key, bool& value, std::string_view /*doc*/) {
  one(key, value, [](const ConfigNode& node) -> Converted<bool> {
    if (node.kind != Kind::boolean) return {{}, wanted("true or false", node)};
    return {std::get<bool>(node.value), ""};
  });
}

void ConfigReader::integer(std::string_view key, int64_t& value, Range range, std::string_view /*doc*/) {
  one(key, value, [&](const ConfigNode& node) { return to_integer(node, range); });
}

void ConfigReader::real(std::string_view key, double& value, Range range, std::string_view /*doc*/) {
  one(key, value, [&](const ConfigNode& node) { return to_real(node, range); });
}

void ConfigReader::text(std::string_view key, std::string& value, std::string_view /*doc*/) { one(key, value, to_text); }

void ConfigReader::choice(std::string_view key, std::string& value, const std::vector<std::string>& allowed, std::string_view /*doc*/) {
  one(key, value, [&](const ConfigNode& node) {
    Converted<std::string> converted = to_text(node);
    const std::string got = converted.value.value_or("");
    if (converted.value && std::find(allowed.begin(), allowed.end(), got) != allowed.end()) return converted;
    const std::string hint = converted.value ? did_you_mean(got, allowed) : "";
    return Converted<std::string>{{}, wanted(fmt::format("one of {}", fmt::join(allowed, ", ")), node) + hint};
  });
}

void ConfigReader::integers(std::string_view key, std::vector<int64_t>& value, Range range, std::string_view /*doc*/) {
  many(key, value, true, [&](const ConfigNode& node) { return to_integer(node, range); });
}

void ConfigReader::reals(std::string_view key, std::vector<double>& value, Range range, std::string_view /*doc*/) {
  many(key, value, true, [&](const ConfigNode& node) { return to_real(node, range); });
}

void ConfigReader::texts(std::string_view key, std::vector<std::string>& value, std::string_view /*doc*/) {
  many(key, value, false, to_text);
}

void ConfigReader::begin_section(std::string_view key, std::string_view /*doc*/) {
  subsections_[path_of("")].emplace_back(key);
  const ConfigNode* node = find(key);
  if (node != nullptr && node->kind != Kind::table) {
    faults_.add(node->origin, path_of(key),
                fmt::format("is a section: write [{}] and its keys below it, got {}", path_of(key), toml_text(*node)));
    node = nullptr;
  }
  sections_.push_back(node);
  names_.emplace_back(key);
  fields_.try_emplace(path_of(""));
}

void ConfigReader::end_section() {
  sections_.pop_back();
  names_.pop_back();
}

void ConfigReader::refuse_unknown_keys() { refuse_unknown_keys(root_, ""); }

void ConfigReader::refuse_unknown_keys(const ConfigNode& table, const std::string& path) {
  const auto& fields = fields_[path];
  const auto& sections = subsections_[path];
  std::vector<std::string> siblings = sections;
  siblings.insert(siblings.end(), fields.begin(), fields.end());
  for (const auto& [key, node] : table.table) {
    const std::string full = path.empty() ? key : path + "." + key;
    if (std::find(sections.begin(), sections.end(), key) != sections.end()) {
      if (node.kind == Kind::table) refuse_unknown_keys(node, full);
      continue;
    }
    if (std::find(fields.begin(), fields.end(), key) != fields.end()) continue;
    std::string hint = did_you_mean(key, siblings);
    if (hint.empty()) {  // a key of another section, as in `--set batch_size=4`
      for (const auto& [section, keys] : fields_) {
        if (std::find(keys.begin(), keys.end(), key) != keys.end())
          hint = fmt::format("; did you mean '{}{}{}'?", section, section.empty() ? "" : ".", key);
      }
    }
    if (hint.empty() && !siblings.empty()) hint = fmt::format("; known here: {}", fmt::join(siblings, ", "));
    faults_.add(node.origin, full, (node.kind == Kind::table ? "unknown section" : "unknown key") + hint);
  }
}

}  // namespace lpnsr
