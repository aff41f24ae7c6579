#pragma once
// The file of a table: its rows (experiments), its columns (metrics with their protocols) and its data sets, and what the paper states.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config_reader.h"
#include "core/config_tree.h"

namespace lpnsr {

struct PaperNumbers {
  std::string data;            // name of the data set
  std::vector<double> values;  // in the order of the columns; the last ones may be left out
  void fields(FieldVisitor& v);
};

// A method: an experiment that is run, or somebody else's pictures. What kind of method the experiment names makes no difference here.
struct MethodEntry {
  std::string name;
  std::string group;       // rows of one group stand together ("T = 1")
  std::string experiment;  // relative to the file; the pictures are those of `lpnsr restore --experiment`
  std::string images;      // folder of pictures, relative to the working directory; {data} in it is the data set's name
  std::string overlay;     // in place of the file's own
  std::vector<PaperNumbers> paper;
  void fields(FieldVisitor& v);
  void lists(ConfigNode& node, ConfigFaults& faults);  // [[row.paper]]
};

inline constexpr const char* kRuntimeColumn = "runtime";  // seconds a picture, measured while restoring

struct TableFile {
  std::filesystem::path path;
  std::string title, note;           // note: how the paper's table was made, where that matters
  std::vector<std::string> columns;  // as of `lpnsr evaluate`, and "runtime"
  std::vector<std::string> data;     // files of data sets, relative to the file
  std::vector<int64_t> seeds = {12345};
  std::string overlay;  // laid over each row's experiment, relative to the file: the same rows with other networks
  int64_t shown = 4;    // pictures of each data set on the page
  std::vector<MethodEntry> rows;
  void fields(FieldVisitor& v);
  std::filesystem::path beside(const std::string& relative) const { return (path.parent_path() / relative).lexically_normal(); }
};

// Throws UsageError that lists every fault with file and line.
TableFile read_table_file(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
// The checks of rows, which tables and figures share.
void check_methods(const std::vector<MethodEntry>& rows, const std::string& file);

// The file itself where `name` is one; else experiments/KIND/NAME.toml below the working directory or beside the program's build folder,
// also as experiments/KIND/PREFIX+NAME.toml ("1" is table1). Throws UsageError that lists what there is.
std::filesystem::path find_experiment_file(const std::string& name, const std::string& kind, const std::string& prefix);
// Throws UsageError where two of the files would write results of one name. `kind`: what they are, "table".
void check_names_of_results(const std::vector<std::filesystem::path>& files, const std::string& kind);
// All files of that kind there, sorted by name.
std::vector<std::filesystem::path> list_experiment_files(const std::string& kind);

}  // namespace lpnsr
