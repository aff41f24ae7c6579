#pragma once
// Tables of results: Markdown that also reads well in a terminal.
#include <limits>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace lpnsr {

struct Column {
  std::string title;
  bool higher_is_better = true;
  int decimals = 4;
};
Column column_of(const Metric& metric);  // "PSNR ↑ (lpnsr, Y, crop 4)"

struct Cell {
  double mean = std::numeric_limits<double>::quiet_NaN();    // NaN: shown as "-"
  double spread = std::numeric_limits<double>::quiet_NaN();  // NaN: not shown
};

struct TableRow {
  std::string name;
  std::vector<Cell> cells;
};

std::string format_cell(const Cell& cell, int decimals);  // "27.31 ± 0.04"

// For each column whether each row holds its best value as shown; ties are all best. A single row has no best.
std::vector<std::vector<bool>> best_cells(const std::vector<Column>& columns, const std::vector<TableRow>& rows);

std::string markdown_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                           bool mark_best);

}  // namespace lpnsr
