#pragma once
// Tables, from their files to their cells and back: plans them, computes what is missing, gathers the results.
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "eval/result_table.h"
#include "tools/cached_run.h"
#include "tools/share.h"

namespace lpnsr {

// A column of a table: a metric, if its weights are there, or the run time.
struct TableColumn {
  std::string name;
  Column column;
  std::optional<Metric> metric;
  std::optional<Missing> missing;  // weights of the metric
};
std::vector<TableColumn> prepare_columns(const std::vector<std::string>& names, const CacheOptions& options);

// Restores and scores one cell under its lock. False where another process has it. Throws what goes wrong.
bool compute_cell(const CachedRun& cell, const std::vector<TableColumn>& columns);

class TableRun {
 public:
  // Finds data sets, weights and experiments, hashes them, and knows then what is missing.
  TableRun(TableFile file, const CacheOptions& options);

  // Each cell with its state: done, to do (what of it), or what is missing.
  std::string plan() const;
  nlohmann::json plan_json() const;

  // What is not there yet and can be computed. A cell that fails is told at once and does not stop the others.
  void compute(const Share& share) const;
  void forget() const;  // removes the cells: compute() begins again

  ResultTable gather() const;
  // Files that are not there, each once. Others' pictures are left out where `needed` is asked for: a table is complete without them.
  std::vector<Missing> missing(bool needed) const;
  // What keeps the table from being complete: files it needs, and failures.
  std::vector<std::string> incomplete() const;
  const TableFile& file() const { return file_; }
  std::string name() const { return file_.path.stem().string(); }

 private:
  struct Entry {
    size_t row, data, seed;
    CachedRun cell;
  };
  std::string label(const Entry& entry) const;
  bool wanted(const Entry& entry, const TableColumn& column) const;
  std::vector<std::string> to_do(const Entry& entry) const;
  std::vector<double> paper_numbers(size_t row, size_t data) const;  // throws UsageError where there are more than columns
  ResultRow gather_row(size_t row, size_t data) const;
  void add_shown(ResultTable& table, size_t data) const;

  TableFile file_;
  std::vector<TableColumn> columns_;
  std::vector<std::shared_ptr<const StagedSet>> sets_;
  std::vector<Entry> entries_;
};

}  // namespace lpnsr
