#pragma once
// A computed table: what was measured, what the paper states, and how both are written.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "eval/html_report.h"
#include "eval/table.h"

namespace lpnsr {

struct ResultColumn {
  std::string name;      // "psnr", "runtime"
  std::string protocol;  // "lpnsr, Y, crop 4"
  Column column;
};

struct ResultCell {
  std::vector<std::vector<double>> values;  // for each seed those of the pictures; of a metric of sets and of run times one value a seed
  double paper = std::numeric_limits<double>::quiet_NaN();
  // Mean over seeds of the mean over pictures, its standard deviation over seeds where there are several, and the 95% bootstrap interval
  // over pictures of their means over seeds.
  Cell cell() const;
  std::vector<double> pictures() const;  // for each picture the mean over seeds; empty where not every seed has them all
  bool measured() const { return !values.empty(); }
};

struct ResultRow {
  std::string name;
  std::vector<ResultCell> cells;
  std::vector<uint64_t> seeds;         // one for each of a cell's values; empty where nothing is drawn
  std::vector<std::string> pictures;   // names
  std::string how;                     // the command, or the folder the pictures came from
  std::filesystem::path first_folder;  // pictures of the first seed
  std::string missing;                 // why nothing was measured
};

struct ResultBlock {
  std::string title, data, group;
  std::vector<ResultRow> rows;
};

// One scene: the LR picture, the methods' results, the true picture.
struct ShownPicture {
  std::string caption;
  std::vector<std::pair<std::string, std::filesystem::path>> labelled;
};

struct ResultTable {
  std::string name, title, note;
  std::vector<ResultColumn> columns;
  std::vector<ResultBlock> blocks;
  std::vector<ShownPicture> shown;

  std::string markdown() const;    // with intervals, the paper's numbers and the differences from them and from the best
  std::string latex() const;       // booktabs, the best red and the second best blue as in the paper
  std::string csv() const;         // a line a row and seed, and the paper's
  std::string scores_csv() const;  // a line a picture
  nlohmann::json json() const;
  void add_to(HtmlReport& report) const;
};

}  // namespace lpnsr
