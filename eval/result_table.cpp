#include "eval/result_table.h"

#include <fmt/format.h>

#include "core/image.h"
#include "eval/evaluate.h"
#include "eval/html_report.h"

namespace lpnsr {
namespace {

std::vector<Column> shown_columns(const ResultTable& table) {
  std::vector<Column> columns;
  for (const auto& column : table.columns) columns.push_back(column.column);
  return columns;
}

bool states_something(const ResultRow& row) {
  return std::any_of(row.cells.begin(), row.cells.end(), [](const ResultCell& cell) { return !std::isnan(cell.paper); });
}

bool measured(const ResultRow& row) {
  return std::any_of(row.cells.begin(), row.cells.end(), [](const ResultCell& cell) { return cell.measured(); });
}

// Each row and, where the paper has it, what the paper states and the difference.
std::vector<TableRow> shown_rows(const ResultBlock& block) {
  std::vector<TableRow> rows;
  for (const auto& row : block.rows) {
    TableRow ours{row.name, {}}, paper{"as published", {}, true}, apart{"difference", {}, true};
    for (const auto& cell : row.cells) {
      ours.cells.push_back(cell.cell());
      paper.cells.push_back({.mean = cell.paper});
      apart.cells.push_back({.mean = difference(ours.cells.back().mean, cell.paper), .difference = true});
    }
    rows.push_back(std::move(ours));
    if (!states_something(row)) continue;
    rows.push_back(std::move(paper));
    if (measured(row)) rows.push_back(std::move(apart));
  }
  return rows;
}

// Rows without their notes, so that a row's place is that in the block.
std::vector<TableRow> own_rows(const ResultBlock& block) {
  std::vector<TableRow> rows;
  for (const auto& row : block.rows) {
    TableRow ours{row.name, {}};
    for (const auto& cell : row.cells) ours.cells.push_back(cell.cell());
    rows.push_back(std::move(ours));
  }
  return rows;
}

std::string differences(const ResultTable& table, const ResultBlock& block) {
  return differences_from_best(shown_columns(table), own_rows(block),
                               [&block](size_t row, size_t column) { return block.rows[row].cells[column].pictures(); });
}

std::string legend(const ResultTable& table) {
  bool several_seeds = false, paper = false;
  for (const auto& block : table.blocks) {
    for (const auto& row : block.rows) {
      several_seeds |= row.seeds.size() > 1;
      paper |= states_something(row);
    }
  }
  std::string text = "Means over pictures";
  if (several_seeds) text += " and seeds, ± the standard deviation over seeds";
  text += ", in brackets the 95% bootstrap interval over pictures; the best bold, the second best underlined.";
  if (paper) text += " \"as published\" is what the paper states, \"difference\" ours minus that.";
  return text;
}

std::vector<std::string> missing_lines(const ResultBlock& block) {
  std::vector<std::string> lines;
  for (const auto& row : block.rows) {
    if (!row.missing.empty()) lines.push_back(row.name + ": " + row.missing);
  }
  return lines;
}

// The middle of a picture, `share` of its sides: pages stay light, and pictures of different sizes show the same part.
at::Tensor middle_of(const at::Tensor& rgb, double share) {
  const auto side = [share](int64_t length) { return std::clamp<int64_t>(std::llround(static_cast<double>(length) * share), 1, length); };
  const int64_t height = side(rgb.size(1)), width = side(rgb.size(2));
  return rgb.narrow(1, (rgb.size(1) - height) / 2, height).narrow(2, (rgb.size(2) - width) / 2, width);
}

std::string seed_text(const ResultRow& row, size_t seed) { return seed < row.seeds.size() ? std::to_string(row.seeds[seed]) : ""; }

}  // namespace

std::vector<double> ResultCell::pictures() const {
  if (values.empty() || values.front().size() < 2) return {};
  const size_t count = values.front().size();
  if (std::any_of(values.begin(), values.end(), [count](const auto& seed) { return seed.size() != count; })) return {};
  std::vector<double> means;
  for (size_t p = 0; p < count; ++p) {
    std::vector<double> over_seeds;
    for (const auto& seed : values) over_seeds.push_back(seed[p]);
    means.push_back(mean_of(over_seeds));
  }
  return means;
}

Cell ResultCell::cell() const {
  std::vector<double> means;
  for (const auto& seed : values) means.push_back(mean_of(seed));
  const auto over_pictures = pictures();
  return {.mean = mean_of(means),
          .spread = deviation_of(means),
          .interval = over_pictures.empty() ? Interval{} : bootstrap_interval(over_pictures)};
}

std::string ResultTable::markdown() const {
  const auto columns_shown = shown_columns(*this);
  std::string text = "# " + title + "\n\n";
  for (const auto& block : blocks) {
    if (!block.title.empty()) text += "## " + block.title + "\n\n";
    text += markdown_table("method", columns_shown, shown_rows(block), true) + "\n";
    for (const auto& line : missing_lines(block)) text += "* " + line + "\n";
    const auto tests = differences(*this, block);
    if (!tests.empty()) text += "Differences from the best, paired test with random signs:\n\n```\n" + tests + "```\n\n";
  }
  text += legend(*this) + "\n";
  if (!note.empty()) text += "\n" + note + "\n";
  return text;
}

std::string ResultTable::latex() const {
  std::vector<TableBlock> shown_blocks;
  for (const auto& block : blocks) shown_blocks.push_back({block.title, shown_rows(block)});
  return "% needs \\usepackage{booktabs,xcolor}\n" +
         latex_table("Method", shown_columns(*this), shown_blocks, {"\\textcolor{red}{", "\\textcolor{blue}{"});
}

std::string ResultTable::csv() const {
  std::string text = "data,group,method,seed";
  for (const auto& column : columns) text += "," + csv_field(fmt::format("{} [{}]", column.name, column.protocol));
  text += "\n";
  for (const auto& block : blocks) {
    for (const auto& row : block.rows) {
      const std::string head = csv_field(block.data) + "," + csv_field(block.group) + "," + csv_field(row.name) + ",";
      size_t seeds = 0;
      for (const auto& cell : row.cells) seeds = std::max(seeds, cell.values.size());
      for (size_t s = 0; s < seeds; ++s) {
        text += head + seed_text(row, s);
        for (const auto& cell : row.cells) text += s < cell.values.size() ? fmt::format(",{}", mean_of(cell.values[s])) : ",";
        text += "\n";
      }
      if (!states_something(row)) continue;
      text += head + "paper";
      for (const auto& cell : row.cells) text += std::isnan(cell.paper) ? "," : fmt::format(",{}", cell.paper);
      text += "\n";
    }
  }
  return text;
}

std::string ResultTable::scores_csv() const {
  std::string text = "data,group,method,seed,picture";
  for (const auto& column : columns) text += "," + csv_field(fmt::format("{} [{}]", column.name, column.protocol));
  text += "\n";
  for (const auto& block : blocks) {
    for (const auto& row : block.rows) {
      for (size_t s = 0; s < std::max<size_t>(row.seeds.size(), measured(row) ? 1 : 0); ++s) {
        for (size_t p = 0; p < row.pictures.size(); ++p) {
          text += csv_field(block.data) + "," + csv_field(block.group) + "," + csv_field(row.name) + "," + seed_text(row, s) + "," +
                  csv_field(row.pictures[p]);
          for (const auto& cell : row.cells) {
            const bool there = s < cell.values.size() && cell.values[s].size() == row.pictures.size();
            text += there ? fmt::format(",{}", cell.values[s][p]) : ",";
          }
          text += "\n";
        }
      }
    }
  }
  return text;
}

nlohmann::json ResultTable::json() const {
  nlohmann::json result = {{"name", name}, {"title", title}, {"note", note}};
  for (const auto& column : columns) {
    result["columns"].push_back(
        {{"name", column.name}, {"protocol", column.protocol}, {"higher_is_better", column.column.higher_is_better}});
  }
  result["blocks"] = nlohmann::json::array();
  for (const auto& block : blocks) {
    nlohmann::json entry = {{"title", block.title}, {"data", block.data}, {"group", block.group}, {"rows", nlohmann::json::array()}};
    const auto ranks = cell_ranks(shown_columns(*this), own_rows(block));
    for (size_t r = 0; r < block.rows.size(); ++r) {
      const auto& row = block.rows[r];
      nlohmann::json cells = nlohmann::json::object();
      for (size_t c = 0; c < columns.size(); ++c) {
        const Cell cell = row.cells[c].cell();
        nlohmann::json seeds = nlohmann::json::array();
        for (const auto& seed : row.cells[c].values) seeds.push_back(json_number(mean_of(seed)));
        cells[columns[c].name] = {{"mean", json_number(cell.mean)},
                                  {"spread", json_number(cell.spread)},
                                  {"interval95", {json_number(cell.interval.low), json_number(cell.interval.high)}},
                                  {"seeds", std::move(seeds)},
                                  {"paper", json_number(row.cells[c].paper)},
                                  {"difference", json_number(difference(cell.mean, row.cells[c].paper))},
                                  {"rank", ranks[c][r]}};
      }
      entry["rows"].push_back({{"name", row.name},
                               {"seeds", row.seeds},
                               {"pictures", row.pictures.size()},
                               {"cells", std::move(cells)},
                               {"how", row.how},
                               {"missing", row.missing}});
    }
    result["blocks"].push_back(std::move(entry));
  }
  return result;
}

void ResultTable::add_to(HtmlReport& report) const {
  report.heading(title);
  std::string commands, tests;
  for (const auto& block : blocks) {
    if (!block.title.empty()) report.subheading(block.title);
    report.table("method", shown_columns(*this), shown_rows(block));
    for (const auto& line : missing_lines(block)) report.paragraph(line);
    for (const auto& row : block.rows) {
      if (!row.how.empty()) commands += fmt::format("{}{}: {}\n", block.title.empty() ? "" : block.title + ", ", row.name, row.how);
    }
    const auto lines = differences(*this, block);
    if (!lines.empty()) tests += (block.title.empty() ? "" : block.title + "\n") + lines + "\n";
  }
  report.paragraph(legend(*this));
  if (!note.empty()) report.paragraph(note);
  if (!tests.empty()) report.preformatted("Differences from the best, paired test with random signs", tests);
  if (!commands.empty()) report.preformatted("How each row was made", commands);
  for (const auto& picture : shown) {
    constexpr double kShownSide = 256.0;
    std::vector<std::pair<std::string, at::Tensor>> labelled;
    int64_t largest = 1;
    for (const auto& [label, file] : picture.labelled) {
      labelled.emplace_back(label, read_image(file).rgb);
      largest = std::max({largest, labelled.back().second.size(1), labelled.back().second.size(2)});
    }
    for (auto& [label, rgb] : labelled) rgb = middle_of(rgb, std::min(1.0, kShownSide / static_cast<double>(largest)));
    report.image_row(picture.caption, labelled);
  }
}

}  // namespace lpnsr
