#include "eval/figure_file.h"

#include <fmt/format.h>

#include "core/config_lists.h"
#include "core/error.h"

namespace lpnsr {

void FigurePicture::fields(FieldVisitor& v) {
  v.text("name", name, "of the data set, without extension");
  v.integers("box", box, non_negative, "x, y, width, height in the result; none: the busiest square");
}

void FigureFile::fields(FieldVisitor& v) {
  v.text("title", title, "of the figure; none: no title is drawn");
  v.choice("kind", kind, {"crops", "noise", "distribution", "spread", "steps", "curves"}, "what is drawn");
  v.text("data", data, "file of the data set, relative to this file");
  v.integer("first", first, {1}, "pictures from the set's beginning where no [[picture]] is named");
  v.integer("side", side, {8}, "of the parts that are found in pictures without a box");
  v.text("overlay", overlay, "configuration laid over each row's experiment, relative to this file");
  v.integer("seed", seed, non_negative, "of the random draws");
  v.integer("seeds", seeds, {2, 10000}, "samples of a spread");
  v.text("table", table, "of steps: the table's file, relative to this file");
  v.texts("columns", columns, "of steps: metrics of the table; none: all");
  v.texts("runs", runs, "of curves: run folders, or NAME=FOLDER");
  v.texts("curves", curves, "names of values of metrics.jsonl, a chart each");
}

FigureFile read_figure_file(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  FigureFile figure;
  figure.path = file;
  ConfigNode root = load_config(file);
  ConfigFaults faults;
  for (const auto& text : overrides) apply_config_override(root, text);
  figure.rows = take_list<MethodEntry>(root, "row", faults);
  figure.pictures = take_list<FigurePicture>(root, "picture", faults);
  ConfigReader reader(root, faults);
  figure.fields(reader);
  reader.refuse_unknown_keys();
  faults.throw_if_any();
  const auto need = [&](bool there, const char* what) {
    if (!there) throw UsageError(fmt::format("{}: {}", file.string(), what));
  };
  const bool of_pictures = figure.kind != "steps" && figure.kind != "curves";
  need(!of_pictures || !figure.data.empty(), "data: the file of the data set is needed");
  need(!of_pictures || !figure.rows.empty(), "[[row]]: at least one method is needed");
  need(figure.kind != "steps" || !figure.table.empty(), "table: the table whose metrics are drawn is needed");
  need(figure.kind != "curves" || !figure.runs.empty(), "runs: at least one run folder is needed");
  for (const auto& picture : figure.pictures)
    need(picture.box.empty() || picture.box.size() == 4, "[[picture]]: box is x, y, width, height");
  check_methods(figure.rows, file.string());
  return figure;
}

}  // namespace lpnsr
