#pragma once
// A self-contained HTML page: pictures are data URIs, charts inline SVG, so that one file can be mailed or archived.
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "eval/line_chart.h"
#include "eval/table.h"

namespace lpnsr {

class HtmlReport {
 public:
  explicit HtmlReport(std::string title);
  void heading(const std::string& text);
  void subheading(const std::string& text);
  void paragraph(const std::string& text);
  void preformatted(const std::string& summary, const std::string& text);  // folded away below its summary
  void table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
  void table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows);  // the best values bold
  void image(const std::string& caption, const at::Tensor& rgb);             // [3,H,W] or [1,H,W] in [0,1]
  void image(const std::string& caption, const std::filesystem::path& png);  // a PNG file, taken as it is
  // Pictures side by side, each with its label, all shown at one width.
  void image_row(const std::string& caption, const std::vector<std::pair<std::string, at::Tensor>>& labelled);
  // Pictures of one scene on top of each other, any two of them with a slider between: at first the first one on the left and the last one
  // on the right. Those with fewer pixels are enlarged by the browser without smoothing.
  void slider(const std::string& caption, const std::vector<std::pair<std::string, at::Tensor>>& labelled);
  void chart(const std::string& title, const std::vector<Series>& series, const ChartOptions& options = {});
  void bars(const std::map<std::string, std::map<std::string, double>>& counts);  // a small chart each
  void histograms(const std::map<std::string, std::vector<double>>& values);
  std::string html() const;
  void write(const std::filesystem::path& path) const;  // atomically

 private:
  void figure(const std::string& caption, const std::string& png_bytes);
  std::string title_, body_;
  bool slides_ = false;
};

}  // namespace lpnsr
