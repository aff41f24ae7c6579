#pragma once
// A figure for a paper: rows of pictures and charts with labels below them, as one SVG that holds everything, and as PNG.
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "eval/line_chart.h"

namespace lpnsr {

using Box = std::array<int64_t, 4>;  // x, y, width, height in pixels

class FigureSheet {
 public:
  explicit FigureSheet(std::string title);
  // Panels that follow stand beside each other, all of one height, with the text at the left of them.
  void row(const std::string& text = "");
  // [3,H,W] or [1,H,W] in [0,1], pixels shown as they are; a box is drawn red.
  void picture(const std::string& label, const at::Tensor& rgb, const std::optional<Box>& box = std::nullopt);
  void chart(const std::string& title, const std::vector<Series>& series, ChartOptions options = {});
  // The scale of heat(): colours from 0 to `highest`.
  void colour_scale(double highest, const std::string& label);
  std::string svg() const;
  // FILE.svg and FILE.png, both or none. Throws Error where there is nothing on the sheet and where rsvg-convert, which draws the PNG,
  // fails; where that is not installed the SVG is there all the same.
  void write(const std::filesystem::path& file_without_extension) const;

 private:
  struct Panel {
    std::string svg;  // with the panel's own origin
    double width = 0, height = 0;
  };
  struct Row {
    std::string text;
    std::vector<Panel> panels;
  };
  void add(Panel panel);
  std::string title_;
  std::vector<Row> rows_;
};

// [H,W] in [0,1] -> [3,H,W] in the colours of the heat maps (viridis: even steps, also in gray and to colour-blind eyes).
at::Tensor heat(const at::Tensor& values);

// The density of `values` in `bins` between low and high, as a curve; what lies outside is left out.
Series density(const std::string& name, const at::Tensor& values, double low, double high, int64_t bins = 80);
Series normal_density(const std::string& name, double mean, double deviation, double low, double high, int64_t points = 160);

}  // namespace lpnsr
