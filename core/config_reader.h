#pragma once
// Fills a configuration from a tree, field by field, and collects every fault. Inside of core/config.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/config_tree.h"

namespace lpnsr {

class ConfigFaults {
 public:
  void add(const ConfigOrigin& origin, const std::string& key, const std::string& what);
  void add(const std::string& text);
  // One UsageError with all of them, by file and line.
  void throw_if_any() const;

 private:
  struct Fault {
    ConfigOrigin origin;
    std::string text;
  };
  std::vector<Fault> faults_;
};

class ConfigReader final : public FieldVisitor {
 public:
  ConfigReader(const ConfigNode& root, ConfigFaults& faults);
  void boolean(std::string_view key, bool& value, std::string_view doc) override;
  void integer(std::string_view key, int64_t& value, Range range, std::string_view doc) override;
  void real(std::string_view key, double& value, Range range, std::string_view doc) override;
  void text(std::string_view key, std::string& value, std::string_view doc) override;
  void choice(std::string_view key, std::string& value, const std::vector<std::string>& allowed, std::string_view doc) override;
  void integers(std::string_view key, std::vector<int64_t>& value, Range range, std::string_view doc) override;
  void reals(std::string_view key, std::vector<double>& value, Range range, std::string_view doc) override;
  void texts(std::string_view key, std::vector<std::string>& value, std::string_view doc) override;
  // After all fields were visited: whatever the tree has besides.
  void refuse_unknown_keys();

 protected:
  void begin_section(std::string_view key, std::string_view doc) override;
  void end_section() override;

 private:
  const ConfigNode* find(std::string_view key);
  std::string path_of(std::string_view key) const;
  template <class Value, class Convert>
  void one(std::string_view key, Value& value, const Convert& convert);
  template <class Value, class Convert>
  void many(std::string_view key, std::vector<Value>& value, bool numbers, const Convert& convert);
  void refuse_unknown_keys(const ConfigNode& table, const std::string& path);

  const ConfigNode& root_;
  ConfigFaults& faults_;
  std::vector<const ConfigNode*> sections_;                 // the open ones; null where the tree has no such section
  std::vector<std::string> names_;                          // of the open ones, root excluded
  std::map<std::string, std::vector<std::string>> fields_;  // the keys of each section by the section's path, in the order of visiting
  std::map<std::string, std::vector<std::string>> subsections_;
};

}  // namespace lpnsr
