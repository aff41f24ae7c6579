#include "core/config.h"

#include <set>

#include <fmt/format.h>

#include "core/config_reader.h"
#include "core/config_tree.h"
#include "core/error.h"

namespace lpnsr {
namespace {

void read_tree(const FieldList& fields, ConfigNode root, const std::vector<std::string>& overrides, std::string_view override_option) {
  ConfigFaults faults;
  for (const auto& text : overrides) {
    try {
      apply_config_override(root, text, override_option);
    } catch (const UsageError& error) {
      faults.add(error.what());
    }
  }
  ConfigReader reader(root, faults);
  fields(reader);
  reader.refuse_unknown_keys();
  faults.throw_if_any();
}

void collect_values(const ConfigNode& node, const std::string& path, std::map<std::string, std::string>& values) {
  if (node.kind != ConfigNode::Kind::table) {
    values[path] = toml_text(node);
    return;
  }
  for (const auto& [key, child] : node.table) collect_values(child, path.empty() ? key : path + "." + key, values);
}

}  // namespace

void read_config(const FieldList& fields, const std::filesystem::path& path, const std::vector<std::string>& overrides,
                 std::string_view override_option) {
  read_tree(fields, load_config(path), overrides, override_option);
}

void read_config_text(const FieldList& fields, std::string_view toml, std::string_view origin, const std::vector<std::string>& overrides,
                      std::string_view override_option) {
  ConfigNode root = parse_config(toml, std::string(origin));
  if (const auto extends = root.table.find("extends"); extends != root.table.end()) {
    throw UsageError(fmt::format("{}: extends: only a file can extend another", extends->second.origin.text()));
  }
  read_tree(fields, std::move(root), overrides, override_option);
}

std::vector<std::string> config_differences(std::string_view here, std::string_view there) {
  std::map<std::string, std::string> ours, theirs;
  collect_values(parse_config(here, "here"), "", ours);
  collect_values(parse_config(there, "there"), "", theirs);
  std::set<std::string> keys;
  for (const auto* values : {&ours, &theirs}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  const auto shown = [](const auto& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string("not set") : found->second;
  };
  std::vector<std::string> differences;
  for (const auto& key : keys) {
    const std::string a = shown(ours, key), b = shown(theirs, key);
    if (a != b) differences.push_back(fmt::format("{}: {} here, {} there", key, a, b));
  }
  return differences;
}

}  // namespace lpnsr
