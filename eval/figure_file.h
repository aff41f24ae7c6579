#pragma once
// The file of a figure.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "eval/table_file.h"

namespace lpnsr {

struct FigurePicture {
  std::string name;          // of the data set, without extension
  std::vector<int64_t> box;  // x, y, width, height in the result; empty: the busiest square
  void fields(FieldVisitor& v);
};

// kind = crops: methods side by side on parts of pictures (Fig. 1, 3, 5, 6); noise: the noise of each step beside the LR picture (Fig. 2);
// distribution: its density at each step against N(0, 1), and the result's in latent space (Fig. 4); spread: where samples differ; steps:
// a table's metrics against the number of sampling steps; curves: losses of training runs.
struct FigureFile {
  std::filesystem::path path;
  std::string title, kind = "crops";
  std::string data;                     // file of the data set, relative to the file
  std::vector<FigurePicture> pictures;  // none: the first `first` of the set
  int64_t first = 2;
  int64_t side = 128;  // of the boxes that are found
  std::vector<MethodEntry> rows;
  std::string overlay;  // as of a table
  int64_t seed = 12345, seeds = 8;
  std::string table;                            // steps: relative to the file
  std::vector<std::string> columns;             // steps: metrics; none: all of the table's
  std::vector<std::string> runs;                // curves: folders, or NAME=FOLDER
  std::vector<std::string> curves = {"total"};  // names in metrics.jsonl, a chart each
  void fields(FieldVisitor& v);
};

// Throws UsageError that lists every fault with file and line.
FigureFile read_figure_file(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

}  // namespace lpnsr
