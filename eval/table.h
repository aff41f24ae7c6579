#pragma once
// Tables of results: Markdown that also reads well in a terminal.
#include <functional>
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
  bool difference = false;                                   // shown with its sign
};

struct TableRow {
  std::string name;
  std::vector<Cell> cells;
  bool note = false;  // about the row above (what the paper states): has no rank
};

struct TableBlock {
  std::string title;  // empty: none is shown
  std::vector<TableRow> rows;
};

// What stands around the best and the second best value in LaTeX.
struct LatexMarks {
  std::string best = "\\textbf{", second = "\\underline{";
};

std::string format_cell(const Cell& cell, int decimals);  // "27.31 ± 0.04", "27.31 [27.02, 27.60]"

// For each column each row's rank as shown: 1 the best, 2 the second best, 0 the others; ties share a rank. A single row has none.
std::vector<std::vector<int>> cell_ranks(const std::vector<Column>& columns, const std::vector<TableRow>& rows);

std::string markdown_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                           bool mark_best);  // the best bold; the second best underlined where there are three rows or more

// A tabular in booktabs' style, the best bold and the second best underlined.
std::string latex_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows);
// Blocks one below the other, each with its own best values.
std::string latex_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableBlock>& blocks,
                        const LatexMarks& marks);

// The methods' differences from the best one of each column with the paired test's p-value, a line each. `values` gives the scores of a
// row's pictures in a column; empty: no test.
std::string differences_from_best(const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                                  const std::function<std::vector<double>(size_t row, size_t column)>& values);

}  // namespace lpnsr
