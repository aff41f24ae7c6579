#include "tools/table_run.h"

#include <set>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "eval/evaluate.h"
#include "eval/metrics.h"
#include "tools/file_lock.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

// The reason why a cell could not be computed, kept for the process that gathers.
fs::path failure_file(const CachedRun& cell) { return cell.folder() / "failed.txt"; }

std::string indented(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '\n' ? std::string("\n    ") : std::string(1, c);
  return result;
}

bool scores_cell(const CachedRun& cell, const Metric& metric) { return !metric.needs_reference() || !cell.data().set.high.empty(); }

}  // namespace

std::vector<TableColumn> prepare_columns(const std::vector<std::string>& names, const CacheOptions& options) {
  const MetricOptions metric_options{.weights = options.weights, .device = parse_device(options.device)};
  std::vector<TableColumn> columns;
  for (const auto& name : names) {
    TableColumn& column = columns.emplace_back();
    column.name = name;
    if (name == kRuntimeColumn) {
      column.column = {"Runtime (s) ↓", false, 3};
      continue;
    }
    const auto& description = find_metric(name.substr(0, name.find(':')));
    try {
      column.metric = make_metric(name, metric_options);
      column.column = column_of(*column.metric);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      column.missing = {fmt::format("weights of the metric {}", name), error.what()};
      column.column = {description.label + (description.higher_is_better ? " ↑" : " ↓"), description.higher_is_better,
                       description.decimals};
    }
  }
  return columns;
}

bool compute_cell(const CachedRun& cell, const std::vector<TableColumn>& columns) {
  make_output_folder(cell.folder());
  const FileLock lock(cell.folder() / "lock");
  if (!lock.held()) return false;
  cell.restore();
  // A metric that cannot score these pictures (too small, of another size) does not keep the others from it.
  std::vector<std::string> faults;
  for (const auto& column : columns) {
    if (!column.metric || !scores_cell(cell, *column.metric)) continue;
    try {
      cell.score(*column.metric);
    } catch (const std::exception& error) {
      faults.push_back(message_of(error));
    }
  }
  if (!faults.empty()) throw Error(fmt::format("{}", fmt::join(faults, "\n  ")));
  return true;
}

TableRun::TableRun(TableFile file, const CacheOptions& options)
    : file_(std::move(file)), columns_(prepare_columns(file_.columns, options)) {
  for (const auto& name : file_.data) sets_.push_back(std::make_shared<StagedSet>(stage_set(read_test_set(file_.beside(name)), options)));
  for (size_t data = 0; data < sets_.size(); ++data) {
    for (size_t row = 0; row < file_.rows.size(); ++row) {
      paper_numbers(row, data);
      const auto experiment = experiment_of(file_.rows[row], file_.path, file_.overlay, options);
      for (size_t seed = 0; seed < file_.seeds.size(); ++seed) {
        CachedRun cell(file_.rows[row], experiment, sets_[data], static_cast<uint64_t>(file_.seeds[seed]), options);
        const bool once = !cell.draws();
        entries_.push_back({row, data, seed, std::move(cell)});
        if (once) break;
      }
    }
  }
}

std::string TableRun::label(const Entry& entry) const {
  const auto& row = file_.rows[entry.row];
  std::string text = row.group.empty() ? row.name : row.name + " (" + row.group + ")";
  text += " on " + sets_[entry.data]->set.name;
  if (entry.cell.draws()) text += fmt::format(", seed {}", file_.seeds[entry.seed]);
  return text;
}

bool TableRun::wanted(const Entry& entry, const TableColumn& column) const {
  return column.metric && scores_cell(entry.cell, *column.metric);
}

std::vector<std::string> TableRun::to_do(const Entry& entry) const {
  std::vector<std::string> work;
  if (!entry.cell.restored()) work.push_back(fmt::format("restore {} pictures", entry.cell.data().pictures.size()));
  for (const auto& column : columns_) {
    if (wanted(entry, column) && !entry.cell.scored(*column.metric)) work.push_back("score " + column.name);
  }
  return work;
}

std::string TableRun::plan() const {
  std::string text = fmt::format("{}: {}\n", name(), file_.title);
  for (const auto& entry : entries_) {
    std::vector<std::string> files;
    for (const auto& what : entry.cell.missing()) files.push_back(what.file);
    const auto work = files.empty() ? to_do(entry) : files;
    text += fmt::format("  {}: {}{}\n", label(entry), files.empty() ? "" : "missing ",
                        work.empty() ? "done" : fmt::format("{}", fmt::join(work, ", ")));
  }
  const auto all = missing(false);
  if (!all.empty()) text += "missing:\n";
  for (const auto& what : all) text += fmt::format("  {}\n    {}\n", what.file, indented(what.where));
  return text;
}

nlohmann::json TableRun::plan_json() const {
  nlohmann::json result = {
      {"table", name()}, {"title", file_.title}, {"cells", nlohmann::json::array()}, {"missing", nlohmann::json::array()}};
  for (const auto& what : missing(false)) result["missing"].push_back({{"file", what.file}, {"where", what.where}});
  for (const auto& entry : entries_) {
    const auto& row = file_.rows[entry.row];
    std::vector<std::string> files;
    for (const auto& what : entry.cell.missing()) files.push_back(what.file);
    nlohmann::json cell = {{"row", row.name},
                           {"group", row.group},
                           {"data", sets_[entry.data]->set.name},
                           {"experiment", row.experiment},
                           {"images", row.images},
                           {"missing", files},
                           {"to_do", files.empty() ? to_do(entry) : std::vector<std::string>{}},
                           {"key", entry.cell.key()},
                           {"command", entry.cell.command()}};
    if (entry.cell.draws()) cell["seed"] = file_.seeds[entry.seed];
    result["cells"].push_back(std::move(cell));
  }
  return result;
}

std::vector<Missing> TableRun::missing(bool needed) const {
  std::vector<Missing> files;
  const auto add = [&files](const Missing& what) {
    if (std::none_of(files.begin(), files.end(), [&what](const Missing& other) { return other.file == what.file; })) files.push_back(what);
  };
  for (const auto& entry : entries_) {
    for (const auto& what : entry.cell.missing()) {
      if (!needed || !entry.cell.foreign()) add(what);
    }
  }
  for (const auto& column : columns_) {
    if (column.missing) add(*column.missing);
  }
  return files;
}

void TableRun::compute(const Share& share) const {
  for (const int64_t i : share.order(static_cast<int64_t>(entries_.size()))) {
    const Entry& entry = entries_[static_cast<size_t>(i)];
    if (!entry.cell.missing().empty()) continue;
    const auto work = to_do(entry);
    if (work.empty()) continue;
    log_info("{}, cell {} of {}: {}: {}", name(), i + 1, entries_.size(), label(entry), fmt::join(work, ", "));
    try {
      std::error_code ignored;
      fs::remove(failure_file(entry.cell), ignored);
      if (!compute_cell(entry.cell, columns_)) log_info("another process has that cell");
    } catch (const std::exception& error) {
      const std::string what = message_of(error);
      log_warning("{}: {}", label(entry), what);
      write_file_atomically(failure_file(entry.cell), what);
    }
  }
}

void TableRun::forget() const {
  for (const auto& entry : entries_) fs::remove_all(entry.cell.folder());
}

std::vector<std::string> TableRun::incomplete() const {
  std::vector<std::string> faults;
  for (const auto& what : missing(true)) faults.push_back(fmt::format("{}: {}", what.file, what.where));
  for (const auto& entry : entries_) {
    if (!entry.cell.missing().empty() || to_do(entry).empty()) continue;
    const auto failed = failure_file(entry.cell);
    faults.push_back(label(entry) + ": " + (fs::exists(failed) ? read_file(failed) : "not computed"));
  }
  return faults;
}

std::vector<double> TableRun::paper_numbers(size_t row, size_t data) const {
  for (const auto& numbers : file_.rows[row].paper) {
    if (numbers.data != sets_[data]->set.name) continue;
    if (numbers.values.size() <= columns_.size()) return numbers.values;
    throw UsageError(fmt::format("{}: row '{}': paper: {} values for the {} columns {}", file_.path.string(), file_.rows[row].name,
                                 numbers.values.size(), columns_.size(), fmt::join(file_.columns, ", ")));
  }
  return {};
}

ResultRow TableRun::gather_row(size_t row, size_t data) const {
  const auto& method = file_.rows[row];
  ResultRow result;
  result.name = method.name;
  result.cells.resize(columns_.size());
  const auto paper = paper_numbers(row, data);
  for (size_t c = 0; c < paper.size(); ++c) result.cells[c].paper = paper[c];
  for (const auto& picture : sets_[data]->pictures) result.pictures.push_back(picture.name);
  for (const auto& entry : entries_) {
    if (entry.row != row || entry.data != data) continue;
    if (!entry.cell.missing().empty()) {
      result.missing = "missing " + entry.cell.missing().front().file;
      continue;
    }
    if (!entry.cell.restored()) {
      result.missing = "not computed";
      continue;
    }
    if (entry.cell.draws()) result.seeds.push_back(static_cast<uint64_t>(file_.seeds[entry.seed]));
    if (result.how.empty()) result.how = entry.cell.command();
    if (result.first_folder.empty() && !sets_[data]->pictures.empty()) result.first_folder = entry.cell.folder();
    for (size_t c = 0; c < columns_.size(); ++c) {
      const auto& column = columns_[c];
      if (column.name == kRuntimeColumn) {
        const double seconds = entry.cell.runtime();
        if (!std::isnan(seconds)) result.cells[c].values.push_back({seconds});
      } else if (wanted(entry, column) && entry.cell.scored(*column.metric)) {
        result.cells[c].values.push_back(entry.cell.scores(*column.metric));
      }
    }
  }
  return result;
}

void TableRun::add_shown(ResultTable& table, size_t data) const {
  const auto& pictures = sets_[data]->pictures;
  for (size_t p = 0; p < std::min(pictures.size(), static_cast<size_t>(file_.shown)); ++p) {
    ShownPicture shown{sets_[data]->set.name + ": " + pictures[p].name, {{"LR", pictures[p].low}}};
    for (const auto& entry : entries_) {
      if (entry.data != data || entry.seed != 0 || !entry.cell.restored()) continue;
      const auto& row = file_.rows[entry.row];
      shown.labelled.emplace_back(row.group.empty() ? row.name : row.name + ", " + row.group, entry.cell.pairs()[p].picture);
    }
    if (!pictures[p].high.empty()) shown.labelled.emplace_back("HR", pictures[p].high);
    table.shown.push_back(std::move(shown));
  }
}

ResultTable TableRun::gather() const {
  ResultTable table{name(), file_.title, file_.note, {}, {}, {}};
  for (const auto& column : columns_)
    table.columns.push_back({column.name, column.metric ? full_protocol(*column.metric) : "", column.column});
  std::vector<std::string> groups;
  for (const auto& row : file_.rows) {
    if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
  }
  for (size_t data = 0; data < sets_.size(); ++data) {
    const std::string& data_name = sets_[data]->set.name;
    for (const auto& group : groups) {
      ResultBlock block{group.empty() ? data_name : data_name + ", " + group, data_name, group, {}};
      for (size_t row = 0; row < file_.rows.size(); ++row) {
        if (file_.rows[row].group == group) block.rows.push_back(gather_row(row, data));
      }
      table.blocks.push_back(std::move(block));
    }
    add_shown(table, data);
  }
  return table;
}

}  // namespace lpnsr
