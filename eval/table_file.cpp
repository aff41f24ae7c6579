#include "eval/table_file.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/ranges.h>

#include "core/config_lists.h"
#include "core/error.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// Where the repository's experiments are: below the working directory, else beside the build folder of this program.
fs::path experiments_folder(const std::string& kind) {
  std::error_code code;
  for (const auto& base : {fs::current_path(code), fs::read_symlink("/proc/self/exe", code).parent_path().parent_path()}) {
    if (fs::is_directory(base / "experiments" / kind, code)) return fs::proximate(base / "experiments" / kind, code);
  }
  return fs::path("experiments") / kind;
}

// What stands twice would count twice in means and spreads.
template <class Value>
void refuse_repeated(const fs::path& file, const char* key, const std::vector<Value>& values) {
  std::set<Value> seen;
  for (const auto& value : values) {
    if (!seen.insert(value).second) throw UsageError(fmt::format("{}: {}: {} stands twice; name each once", file.string(), key, value));
  }
}

}  // namespace

void PaperNumbers::fields(FieldVisitor& v) {
  v.text("data", data, "name of the data set");
  v.reals("values", values, any_value, "in the order of the columns; the last ones may be left out");
}

void MethodEntry::fields(FieldVisitor& v) {
  v.text("name", name, "as the table calls it");
  v.text("group", group, "rows of one group stand together");
  v.text("experiment", experiment, "experiment file, relative to this file");
  v.text("overlay", overlay, "configuration laid over the experiment, relative to this file; none: the file's own overlay");
  v.text("images", images, "instead of an experiment: a folder of pictures made elsewhere; {data} is the data set's name");
}

void MethodEntry::lists(ConfigNode& node, ConfigFaults& faults) { paper = take_list<PaperNumbers>(node, "paper", faults); }

void TableFile::fields(FieldVisitor& v) {
  v.text("title", title, "of the table");
  v.text("note", note, "printed below it");
  v.texts("columns", columns, "metrics as of lpnsr evaluate, and runtime");
  v.texts("data", data, "files of data sets, relative to this file");
  v.integers("seeds", seeds, non_negative, "of the random draws; the spread over them is shown");
  v.text("overlay", overlay, "configuration laid over each row's experiment, relative to this file");
  v.integer("shown", shown, non_negative, "pictures of each data set on the page");
}

void check_methods(const std::vector<MethodEntry>& rows, const std::string& file) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& row : rows) {
    if (row.name.empty()) throw UsageError(fmt::format("{}: [[row]]: a name is needed", file));
    if (row.experiment.empty() == row.images.empty()) {
      throw UsageError(fmt::format("{}: row '{}': either experiment or images is needed", file, row.name));
    }
    if (!seen.emplace(row.group, row.name).second) throw UsageError(fmt::format("{}: row '{}' stands twice", file, row.name));
  }
}

TableFile read_table_file(const fs::path& file, const std::vector<std::string>& overrides) {
  TableFile table;
  table.path = file;
  ConfigNode root = load_config(file);
  ConfigFaults faults;
  for (const auto& text : overrides) apply_config_override(root, text);
  table.rows = take_list<MethodEntry>(root, "row", faults);
  ConfigReader reader(root, faults);
  table.fields(reader);
  reader.refuse_unknown_keys();
  faults.throw_if_any();
  if (table.title.empty()) table.title = file.stem().string();
  const auto need = [&](bool there, const char* what) {
    if (!there) throw UsageError(fmt::format("{}: {}", file.string(), what));
  };
  need(!table.rows.empty(), "[[row]]: at least one row is needed");
  need(!table.columns.empty(), "columns: at least one metric is needed");
  need(!table.data.empty(), "data: at least one data set is needed");
  need(!table.seeds.empty(), "seeds: at least one seed is needed");
  refuse_repeated(file, "columns", table.columns);
  refuse_repeated(file, "seeds", table.seeds);
  std::vector<std::string> data;
  for (const auto& name : table.data) data.push_back(table.beside(name).string());
  refuse_repeated(file, "data", data);
  check_methods(table.rows, file.string());
  return table;
}

std::vector<fs::path> list_experiment_files(const std::string& kind) {
  std::vector<fs::path> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(experiments_folder(kind), code)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void check_names_of_results(const std::vector<fs::path>& files, const std::string& kind) {
  std::map<fs::path, fs::path> by_name;
  for (const auto& file : files) {
    const auto [first, fresh] = by_name.emplace(file.stem(), file);
    if (fresh) continue;
    if (first->second == file) throw UsageError(fmt::format("{}: this {} is asked for twice", file.string(), kind));
    throw UsageError(fmt::format("{} and {}: the results of both would be called {}; give each {} its own name, or its own --output",
                                 first->second.string(), file.string(), file.stem().string(), kind));
  }
}

fs::path find_experiment_file(const std::string& name, const std::string& kind, const std::string& prefix) {
  if (fs::is_regular_file(name)) return name;
  const auto folder = experiments_folder(kind);
  for (const auto& candidate : {name, prefix + name}) {
    if (fs::is_regular_file(folder / (candidate + ".toml"))) return folder / (candidate + ".toml");
  }
  std::vector<std::string> names;
  for (const auto& file : list_experiment_files(kind)) names.push_back(file.stem().string());
  throw UsageError(fmt::format("there is no file '{}' and no {}.toml in {}{}{}", name, name, folder.string(), did_you_mean(name, names),
                               names.empty() ? "" : fmt::format("; it holds {}", fmt::join(names, ", "))));
}

}  // namespace lpnsr
