#pragma once
// Line charts as SVG, readable in light and dark pages.
#include <string>
#include <vector>

namespace lpnsr {

struct Series {
  std::string name;
  std::vector<double> x, y;  // points whose y is not finite are left out
  bool dashed = false;       // a reference
  int colour = -1;           // of the palette; -1: by its place
};

struct ChartOptions {
  std::string x_label = "step";
  std::string y_label = {};
  bool log_y = false;  // values that are not positive are left out
  double width = 720, height = 300;
  bool points = false;  // a mark at each point, for few of them
};

// An <svg> element of the class "chart", as wide and high as its viewBox says; the legend below makes it higher than asked for.
std::string line_chart(const std::string& title, const std::vector<Series>& series, const ChartOptions& options = {});

// At most `limit` points: means over neighbouring ones, so that a long run's curve stays small and legible.
Series thinned(const Series& series, size_t limit = 400);

// Round numbers that cover [low, high], 4 to 8 of them; in decades, where `log`.
std::vector<double> axis_ticks(double low, double high, bool log);

}  // namespace lpnsr
