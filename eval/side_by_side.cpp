#include "eval/side_by_side.h"

#include <set>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "eval/paired.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// What makes pictures of two methods the same: their reference, or without references their name but for the extension.
std::string identity_of(const PicturePair& pair) {
  return pair.reference.empty() ? pair.picture.stem().string() : pair.reference.filename().string();
}

std::vector<PicturePair> sorted_pairs(const fs::path& folder, const fs::path& references) {
  auto pairs = pair_pictures(folder, references);
  std::sort(pairs.begin(), pairs.end(), [](const PicturePair& a, const PicturePair& b) { return identity_of(a) < identity_of(b); });
  return pairs;
}

void check_same(const std::vector<PicturePair>& first, const std::vector<PicturePair>& other, const MethodFolder& method) {
  std::set<std::string> wanted, present;
  for (const auto& pair : first) wanted.insert(identity_of(pair));
  for (const auto& pair : other) present.insert(identity_of(pair));
  std::vector<std::string> differing;
  std::set_symmetric_difference(wanted.begin(), wanted.end(), present.begin(), present.end(), std::back_inserter(differing));
  if (differing.empty() && first.size() == other.size()) return;
  if (differing.size() > 8) differing.resize(8);
  throw Error(fmt::format("{} ({}): its {} pictures are not the {} of the first method{}{}", method.folder.string(), method.name,
                          other.size(), first.size(), differing.empty() ? "" : "; only one of the two has ", fmt::join(differing, ", ")));
}

}  // namespace

std::vector<MethodFolder> parse_methods(const std::vector<std::string>& texts) {
  std::vector<MethodFolder> methods;
  for (const auto& text : texts) {
    const size_t equals = text.find('=');
    // A folder may have an equals sign in its own name.
    const bool named = equals != std::string::npos && !fs::exists(text);
    MethodFolder method{named ? text.substr(0, equals) : (fs::path(text) / "").parent_path().filename().string(),
                        named ? text.substr(equals + 1) : text};
    if (method.name.empty() || method.folder.empty()) throw UsageError("'" + text + "': a folder or NAME=FOLDER is needed");
    if (std::any_of(methods.begin(), methods.end(), [&](const MethodFolder& other) { return other.name == method.name; }))
      throw UsageError("two methods are called '" + method.name + "': name them NAME=FOLDER");
    methods.push_back(std::move(method));
  }
  return methods;
}

SideBySide::SideBySide(const std::vector<MethodFolder>& methods, const fs::path& references, const std::vector<Metric>& metrics)
    : metrics_(metrics) {
  for (const auto& metric : metrics) columns_.push_back(column_of(metric));
  std::vector<std::vector<PicturePair>> pairs;
  for (const auto& method : methods) {
    pairs.push_back(sorted_pairs(method.folder, references));
    check_same(pairs.front(), pairs.back(), method);
  }
  for (size_t m = 0; m < methods.size(); ++m) methods_.push_back({methods[m].name, evaluate(pairs[m], metrics)});
}

std::vector<TableRow> SideBySide::rows() const {
  std::vector<TableRow> rows;
  for (size_t m = 0; m < methods_.size(); ++m) {
    TableRow row{methods_[m].name, {}};
    const auto means = methods_[m].evaluation.means();
    for (size_t c = 0; c < metrics_.size(); ++c)
      row.cells.push_back({.mean = means[c], .interval = bootstrap_interval(methods_[m].evaluation.values(c))});
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string SideBySide::difference_table() const {
  return differences_from_best(columns_, rows(), [this](size_t row, size_t column) {
    return metrics_[column].kind == MetricKind::set ? std::vector<double>{} : methods_[row].evaluation.values(column);
  });
}

std::string SideBySide::markdown() const {
  return markdown_table("method", columns_, rows(), true) + "\nmean [95% bootstrap interval]; best bold, second best underlined\n\n" +
         "Differences from the best, paired test with random signs:\n" + difference_table();
}

std::string SideBySide::latex() const { return latex_table("Method", columns_, rows()); }

std::string SideBySide::csv() const {
  std::string text;
  for (const auto& method : methods_) {
    std::istringstream lines(method.evaluation.csv());
    std::string line;
    std::getline(lines, line);
    if (text.empty()) text = "method," + line + "\n";
    while (std::getline(lines, line)) text += csv_field(method.name) + "," + line + "\n";
  }
  return text;
}

nlohmann::json SideBySide::json() const {
  nlohmann::json result;
  for (const auto& method : methods_) {
    auto entry = method.evaluation.json();
    entry["name"] = method.name;
    result["methods"].push_back(std::move(entry));
  }
  result["pairs"] = nlohmann::json::array();
  for (size_t a = 0; a < methods_.size(); ++a) {
    for (size_t b = a + 1; b < methods_.size(); ++b) {
      nlohmann::json entry = {{"a", methods_[a].name}, {"b", methods_[b].name}};
      for (size_t c = 0; c < metrics_.size(); ++c) {
        entry["difference"][metrics_[c].name] =
            json_number(difference(methods_[a].evaluation.means()[c], methods_[b].evaluation.means()[c]));
        if (metrics_[c].kind != MetricKind::set)
          entry["p"][metrics_[c].name] = json_number(paired_p_value(methods_[a].evaluation.values(c), methods_[b].evaluation.values(c)));
      }
      result["pairs"].push_back(std::move(entry));
    }
  }
  return result;
}

}  // namespace lpnsr
