#pragma once
// Tables of results: Markdown that also reads well in a terminal.
#include <limits>
#include <string>
#include <vector>

#include "eval/metric.h"
#include "eval/paired.h"

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
  Interval interval = {};                                    // NaN: not shown
};

struct TableRow {
  std::string name;
  std::vector<Cell> cells;
};

std::string format_cell(const Cell& cell, int decimals);  // "27.31 ± 0.04", "27.31 [27.02, 27.60]"

// For each column each row's rank as shown: 1 the best, 2 the second best, 0 the others; ties share a rank. A single row has none.
std::vector<std::vector<int>> cell_ranks(const std::vector<Column>& columns, const std::vector<TableRow>& rows);

std::string markdown_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                           bool mark_best);  // the best bold; the second best underlined where there are three rows or more

// A tabular in booktabs' style, the best bold and the second best underlined.
std::string latex_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows);

}  // namespace lpnsr
