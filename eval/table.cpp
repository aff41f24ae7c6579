#include "eval/table.h"

#include <fmt/format.h>

namespace lpnsr {
namespace {

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

}  // namespace

Column column_of(const Metric& metric) {
  return {fmt::format("{} {} ({})", metric.label, metric.higher_is_better ? "↑" : "↓", metric.protocol), metric.higher_is_better,
          metric.decimals};
}

std::string format_cell(const Cell& cell, int decimals) {
  if (std::isnan(cell.mean)) return "-";
  std::string text = fmt::format("{:.{}f}", cell.mean, decimals);
  if (!std::isnan(cell.spread)) text += fmt::format(" ± {:.{}f}", cell.spread, decimals);
  return text;
}

std::vector<std::vector<bool>> best_cells(const std::vector<Column>& columns, const std::vector<TableRow>& rows) {
  std::vector<std::vector<bool>> best(columns.size(), std::vector<bool>(rows.size(), false));
  if (rows.size() < 2) return best;
  for (size_t c = 0; c < columns.size(); ++c) {
    // What rounds to the same digits counts as equal, so that the mark never claims more than the table shows.
    const auto shown = [&](const TableRow& row) { return std::stod(fmt::format("{:.{}f}", row.cells[c].mean, columns[c].decimals)); };
    double record = std::numeric_limits<double>::quiet_NaN();
    for (const auto& row : rows) {
      const double value = shown(row);
      if (std::isnan(value)) continue;
      if (std::isnan(record) || (columns[c].higher_is_better ? value > record : value < record)) record = value;
    }
    for (size_t r = 0; r < rows.size(); ++r) best[c][r] = shown(rows[r]) == record;
  }
  return best;
}

std::string markdown_table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows,
                           bool mark_best) {
  std::vector<std::vector<std::string>> lines(1, {corner});
  for (const auto& column : columns) lines.front().push_back(escaped(column.title));
  const auto best = best_cells(columns, rows);
  for (size_t r = 0; r < rows.size(); ++r) {
    std::vector<std::string> line = {escaped(rows[r].name)};
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string text = format_cell(rows[r].cells[c], columns[c].decimals);
      line.push_back(mark_best && best[c][r] ? "**" + text + "**" : text);
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

}  // namespace lpnsr
