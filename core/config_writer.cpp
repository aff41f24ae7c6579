#include <algorithm>
#include <deque>

#include <fmt/ranges.h>

#include "core/config.h"
#include "core/config_tree.h"

namespace lpnsr {
namespace {

constexpr size_t kWidth = 140;

std::string comment(std::string_view doc) {
  std::string text(doc);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text.empty() ? "" : "# " + text;
}

// TOML wants a table's own keys before its sub-tables, so the lines of each section are gathered first.
class ConfigWriter final : public FieldVisitor {
 public:
  ConfigWriter() { open_.push_back(&root_); }

  void boolean(std::string_view key, bool& value, std::string_view doc) override { line(key, toml_text(value), doc); }
  void integer(std::string_view key, int64_t& value, Range /*range*/, std::string_view doc) override { line(key, toml_text(value), doc); }
  void real(std::string_view key, double& value, Range /*range*/, std::string_view doc) override { line(key, toml_text(value), doc); }
  void text(std::string_view key, std::string& value, std::string_view doc) override { line(key, toml_text(std::string_view(value)), doc); }
  void choice(std::string_view key, std::string& value, const std::vector<std::string>& allowed, std::string_view doc) override {
    const bool told =
        std::all_of(allowed.begin(), allowed.end(), [&](const auto& name) { return doc.find(name) != std::string_view::npos; });
    const std::string names = fmt::format("{}", fmt::join(allowed, " | "));
    line(key, toml_text(std::string_view(value)), told ? std::string(doc) : fmt::format("{}{}{}", doc, doc.empty() ? "" : ": ", names));
  }
  void integers(std::string_view key, std::vector<int64_t>& value, Range /*range*/, std::string_view doc) override {
    list(key, value, doc);
  }
  void reals(std::string_view key, std::vector<double>& value, Range /*range*/, std::string_view doc) override { list(key, value, doc); }
  void texts(std::string_view key, std::vector<std::string>& value, std::string_view doc) override { list(key, value, doc); }

  std::string result() const {
    std::string text;
    append(root_, text);
    return text;
  }

 protected:
  void begin_section(std::string_view key, std::string_view doc) override {
    auto& children = open_.back()->children;
    auto section = std::find_if(children.begin(), children.end(), [&](const Section& child) { return child.key == key; });
    if (section == children.end()) {
      const std::string& parent = open_.back()->path;
      children.push_back({std::string(key), parent + (parent.empty() ? "" : ".") + toml_key(key), std::string(doc), "", {}});
      section = children.end() - 1;
    }
    open_.push_back(&*section);
  }
  void end_section() override { open_.pop_back(); }

 private:
  struct Section {
    std::string key, path, doc, lines;
    std::deque<Section> children;  // keeps addresses while it grows
  };

  void line(std::string_view key, const std::string& value, std::string_view doc) {
    const std::string assignment = toml_key(key) + " = " + value, note = comment(doc);
    std::string& lines = open_.back()->lines;
    if (note.empty()) {
      lines += assignment + "\n";
    } else if (assignment.size() + 2 + note.size() <= kWidth) {
      lines += assignment + "  " + note + "\n";
    } else {
      lines += note + "\n" + assignment + "\n";
    }
  }

  template <class Value>
  void list(std::string_view key, const std::vector<Value>& values, std::string_view doc) {
    std::vector<std::string> elements;
    for (const auto& value : values) {
      if constexpr (std::is_same_v<Value, std::string>) {
        elements.push_back(toml_text(std::string_view(value)));
      } else {
        elements.push_back(toml_text(value));
      }
    }
    line(key, fmt::format("[{}]", fmt::join(elements, ", ")), doc);
  }

  static void append(const Section& section, std::string& text) {
    if (!section.path.empty() && (!section.lines.empty() || section.children.empty())) {
      if (!text.empty()) text += "\n";
      text += "[" + section.path + "]";
      if (!section.doc.empty()) text += "  " + comment(section.doc);
      text += "\n";
    }
    text += section.lines;
    for (const auto& child : section.children) append(child, text);
  }

  Section root_;
  std::vector<Section*> open_;
};

}  // namespace

std::string write_config(const FieldList& fields) {
  ConfigWriter writer;
  fields(writer);
  return writer.result();
}

}  // namespace lpnsr
