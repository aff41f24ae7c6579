// Figures of numbers: metrics against steps, curves of training.
#include <map>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"
#include "eval/run_report.h"
#include "eval/side_by_side.h"
#include "tools/figures.h"
#include "tools/table_run.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

constexpr size_t kChartsARow = 3;

// (group, name) of a row -> its sampling steps.
std::map<std::pair<std::string, std::string>, int64_t> steps_of_rows(const TableFile& table, const CacheOptions& options) {
  std::map<std::pair<std::string, std::string>, int64_t> steps;
  for (const auto& row : table.rows) {
    if (row.experiment.empty()) continue;
    const Experiment experiment = load_experiment(experiment_of(row, table.path, table.overlay, options));
    steps[{row.group, row.name}] = first_step(experiment.system.sampling, make_schedule(experiment.system.schedule).steps());
  }
  return steps;
}

void check_columns(const FigureFile& figure, const TableFile& table) {
  for (const auto& column : figure.columns) {
    if (std::find(table.columns.begin(), table.columns.end(), column) != table.columns.end()) continue;
    throw UsageError(fmt::format("{}: columns: {} has no column '{}'{}; it has {}", figure.path.string(), table.path.string(), column,
                                 did_you_mean(column, table.columns), fmt::join(table.columns, ", ")));
  }
}

// Ours and the paper's points of one method have one colour.
void add_point(std::vector<Series>& series, const std::string& name, bool dashed, int colour, double x, double y) {
  if (std::isnan(y)) return;
  auto found = std::find_if(series.begin(), series.end(), [&](const Series& one) { return one.name == name; });
  if (found == series.end()) found = series.insert(series.end(), Series{name, {}, {}, dashed, colour});
  found->x.push_back(x);
  found->y.push_back(y);
}

}  // namespace

FigureSheet draw_steps(const FigureFile& figure, const CacheOptions& options) {
  TableFile file = read_table_file((figure.path.parent_path() / figure.table).lexically_normal());
  check_columns(figure, file);
  const auto steps = steps_of_rows(file, options);
  const TableRun run(std::move(file), options);
  run.compute({});
  for (const auto& fault : run.incomplete()) log_warning("{}", fault);
  const ResultTable table = run.gather();
  FigureSheet sheet(figure.title);
  std::vector<std::string> datasets;
  for (const auto& block : table.blocks) {
    if (std::find(datasets.begin(), datasets.end(), block.data) == datasets.end()) datasets.push_back(block.data);
  }
  for (const auto& data : datasets) {
    size_t drawn = 0;
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const auto& wanted = figure.columns;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), table.columns[c].name) == wanted.end()) continue;
      std::vector<Series> series;
      std::map<std::string, size_t> methods;
      for (const auto& block : table.blocks) {
        if (block.data != data) continue;
        for (const auto& row : block.rows) {
          const auto found = steps.find({block.group, row.name});
          if (found == steps.end()) continue;
          const auto x = static_cast<double>(found->second);
          const auto colour = static_cast<int>(methods.try_emplace(row.name, methods.size()).first->second);
          add_point(series, row.name, false, colour, x, row.cells[c].cell().mean);
          add_point(series, row.name + " (paper)", true, colour, x, row.cells[c].paper);
        }
      }
      if (drawn++ % kChartsARow == 0) sheet.row(drawn == 1 && datasets.size() > 1 ? data : "");
      sheet.chart(table.columns[c].column.title, series, {.x_label = "sampling steps", .width = 420, .height = 260, .points = true});
    }
  }
  return sheet;
}

FigureSheet draw_curves(const FigureFile& figure, const CacheOptions& /*options*/) {
  std::map<std::string, std::vector<Series>> charts;
  for (const auto& run : parse_methods(figure.runs)) {
    check_run_folder(run.folder);
    for (auto& curve : read_metrics(run.folder)) {
      const auto& wanted = figure.curves;
      if (std::find(wanted.begin(), wanted.end(), curve.name) == wanted.end()) continue;
      const std::string name = std::exchange(curve.name, run.name);
      charts[name].push_back(std::move(curve));
    }
  }
  if (charts.empty()) throw Error(fmt::format("{}: the runs have none of the values that it asks for", figure.path.string()));
  FigureSheet sheet(figure.title);
  size_t drawn = 0;
  for (const auto& [name, series] : charts) {
    if (drawn++ % kChartsARow == 0) sheet.row();
    sheet.chart(name, series, {.x_label = "iteration", .width = 420, .height = 260});
  }
  return sheet;
}

}  // namespace lpnsr
