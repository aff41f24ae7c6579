#pragma once
// Lists of sections ([[row]]) in a configuration file; read_config knows single sections only.
#include <string>
#include <vector>

#include "core/config_reader.h"

namespace lpnsr {

// Takes the list `key` out of `parent` and reads each of its entries strictly. An Entry with a member lists(ConfigNode&, ConfigFaults&)
// takes its own lists out first. Faults are collected with file and line.
template <class Entry>
std::vector<Entry> take_list(ConfigNode& parent, const std::string& key, ConfigFaults& faults) {
  std::vector<Entry> entries;
  auto taken = parent.table.extract(key);
  if (!taken) return entries;
  const ConfigNode& list = taken.mapped();
  const auto refuse = [&](const ConfigNode& node) {
    faults.add(node.origin, key, "is a list of sections: write [[" + key + "]] and the keys of one of them below it");
  };
  if (list.kind != ConfigNode::Kind::list) {
    refuse(list);
    return entries;
  }
  for (ConfigNode node : list.list) {
    if (node.kind != ConfigNode::Kind::table) {
      refuse(node);
      continue;
    }
    Entry& entry = entries.emplace_back();
    if constexpr (requires { entry.lists(node, faults); }) entry.lists(node, faults);
    ConfigReader reader(node, faults);
    entry.fields(reader);
    reader.refuse_unknown_keys();
  }
  return entries;
}

}  // namespace lpnsr
