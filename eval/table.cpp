#include "eval/table.h"

#include <fmt/format.h>

namespace lpnsr {
namespace {

size_t ranked_rows(const std::vector<TableRow>& rows) {
  return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [](const TableRow& row) { return !row.note; }));
}

// Columns a terminal needs for UTF-8 text: continuation bytes take none.
size_t display_width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string blanks(width - display_width(text), ' ');
  return right ? blanks + text : text + blanks;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

std::string latex_text(const std::string& text) {
  static const std::map<std::string, std::string> replacements = {{"↑", "$\\uparrow$"}, {"↓", "$\\downarrow$"}, {"±", "$\\pm$"},
                                                                  {"×", "$\\times$"},   {"−", "$-$"},           {"λ", "$\\lambda$"}};
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\textbackslash{}";
      continue;
    }
    if (std::string_view("&%$#_{}~^").find(c) != std::string_view::npos) result += '\\';
    result += c;
    if (c == '~' || c == '^') result += "{}";
  }
  for (const auto& [symbol, command] : replacements) {
    for (size_t at = result.find(symbol); at != std::string::npos; at = result.find(symbol, at + command.size()))
      result.replace(at, symbol.size(), command);
  }
  return result;
}

// Marked best and second best make sense among three rows or more.
bool marks_second(const std::vector<TableRow>& rows) { return ranked_rows(rows) > 2; }

std::string latex_lines(const std::vector<Column>& columns, const std::vector<TableRow>& rows, const LatexMarks& marks) {
  const auto ranks = cell_ranks(columns, rows);
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    text += rows[r].note ? "\\quad{\\footnotesize\\itshape " + latex_text(rows[r].name) + "}" : latex_text(rows[r].name);
    for (size_t c = 0; c < columns.size(); ++c) {
      // Intervals belong to the Markdown table; a paper's table has the means.
      Cell shown = rows[r].cells[c];
      shown.interval = {};
      std::string cell = latex_text(format_cell(shown, columns[c].decimals));
      if (shown.difference && !std::isnan(shown.mean)) cell = "$" + cell + "$";
      if (rows[r].note) cell = "{\\footnotesize " + cell + "}";
      const int rank = ranks[c][r];
      text += " & " + (rank == 1 ? marks.best + cell + "}" : rank == 2 && marks_second(rows) ? marks.second + cell + "}" : cell);
    }
    text += " \\\\\n";
  }
  return text;
}

}  // namespace

Column column_of(const Metric& metric) {
  return {fmt::format("{} {} ({})", metric.label, metric.higher_is_better ? "↑" : "↓", metric.protocol), metric.higher_is_better,
          metric.decimals};
}

std::string format_cell(const Cell& cell, int decimals) {
  if (std::isnan(cell.mean)) return "-";
  std::string text = cell.difference ? fmt::format("{:+.{}f}", cell.mean, decimals) : fmt::format("{:.{}f}", cell.mean, decimals);
  if (!std::isnan(cell.spread)) text += fmt::format(" ± {:.{}f}", cell.spread, decimals);
  if (!std::isnan(cell.interval.low)) text += fmt::format(" [{:.{}f}, {:.{}f}]", cell.interval.low, decimals, cell.interval.high, decimals);
  return text;
}

std::vector<std::vector<int>> cell_ranks(const std::vector<Column>& columns, const std::vector<TableRow>& rows) {
  std::vector<std::vector<int>> ranks(columns.size(), std::vector<int>(rows.size(), 0));
  if (ranked_rows(rows) < 2) return ranks;
  for (size_t c = 0; c < columns.size(); ++c) {
    // What rounds to the same digits counts as equal, so that the mark never claims more than the table shows.
    std::vector<double> shown, ordered;
    for (const auto& row : rows) {
      shown.push_back(row.note ? std::numeric_limits<double>::quiet_NaN()
                               : std::stod(fmt::format("{:.{}f}", row.cells[c].mean, columns[c].decimals)));
      if (!std::isnan(shown.back())) ordered.push_back(columns[c].higher_is_better ? -shown.back() : shown.back());
    }
    std::sort(ordered.begin(), ordered.end());
    ordered.erase(std::unique(ordered.begin(), ordered.end()), ordered.end());
    for (size_t r = 0; r < rows.size(); ++r) {
      const double value = columns[c].higher_is_better ? -shown[r] : shown[r];
      for (size_t place = 0; place < std::min<size_t>(2, ordered.size()); ++place) {
        if (value == ordered[place]) ranks[c][r] = static_cast<int>(place) + 1;
      }
    }
  }
  return ranks;
}

std::string markdown_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                           bool mark_best) {
  std::vector<std::vector<std::string>> lines(1, {corner});
  for (const auto& column : columns) lines.front().push_back(escaped(column.title));
  const auto ranks = cell_ranks(columns, rows);
  for (size_t r = 0; r < rows.size(); ++r) {
    std::vector<std::string> line = {escaped(rows[r].name)};
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string text = format_cell(rows[r].cells[c], columns[c].decimals);
      const int rank = mark_best ? ranks[c][r] : 0;
      line.push_back(rank == 1 ? "**" + text + "**" : rank == 2 && marks_second(rows) ? "<u>" + text + "</u>" : text);
    }
    lines.push_back(std::move(line));
  }
  std::vector<size_t> widths(columns.size() + 1, 3);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], display_width(line[i]));
  }
  std::string text;
  for (size_t l = 0; l < lines.size(); ++l) {
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) text += " " + padded(lines[l][i], widths[i], i > 0) + " |";
    text += "\n";
    if (l > 0) continue;
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i)
      text += i == 0 ? " " + std::string(widths[i], '-') + " |" : " " + std::string(widths[i] - 1, '-') + ": |";
    text += "\n";
  }
  return text;
}

std::string latex_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows) {
  return latex_table(corner, columns, {TableBlock{"", rows}}, {});
}

std::string latex_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableBlock>& blocks,
                        const LatexMarks& marks) {
  std::string text = "\\begin{tabular}{l" + std::string(columns.size(), 'c') + "}\n\\toprule\n" + latex_text(corner);
  for (const auto& column : columns) text += " & " + latex_text(column.title);
  text += " \\\\\n";
  for (const auto& block : blocks) {
    text += "\\midrule\n";
    if (!block.title.empty())
      text += fmt::format("\\multicolumn{{{}}}{{l}}{{\\textit{{{}}}}} \\\\\n", columns.size() + 1, latex_text(block.title));
    text += latex_lines(columns, block.rows, marks);
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string differences_from_best(const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                                  const std::function<std::vector<double>(size_t row, size_t column)>& values) {
  const auto ranks = cell_ranks(columns, rows);
  std::string text;
  for (size_t c = 0; c < columns.size(); ++c) {
    const auto best = static_cast<size_t>(std::find(ranks[c].begin(), ranks[c].end(), 1) - ranks[c].begin());
    if (best == ranks[c].size()) continue;
    const auto best_values = values(best, c);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (r == best || rows[r].note || best_values.empty()) continue;
      const auto its_values = values(r, c);
      if (its_values.size() != best_values.size()) continue;
      const double apart = difference(rows[r].cells[c].mean, rows[best].cells[c].mean), p = paired_p_value(its_values, best_values);
      if (std::isnan(apart)) continue;
      text += fmt::format("{}: {} − {} = {:+.{}f}, p = {}\n", columns[c].title, rows[r].name, rows[best].name, apart,
                          columns[c].decimals + 1, std::isnan(p) ? "-" : fmt::format("{:.4f}", p));
    }
  }
  return text;
}

}  // namespace lpnsr
