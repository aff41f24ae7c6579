#include "eval/figure_sheet.h"

#include <cerrno>
#include <cstring>
#include <numbers>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "eval/html_text.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

constexpr double kPicture = 190;  // height of a picture's panel
constexpr double kGap = 8, kMargin = 12, kLabel = 20, kTitle = 30;

// What the page's style sheet does for charts in HTML, here in black on white.
constexpr const char* sheet_style =
    "text{font-family:'DejaVu Sans',Helvetica,Arial,sans-serif;font-size:12px;fill:#111}"
    ".title{font-size:13px;font-weight:bold}.sheet{font-size:16px;font-weight:bold}"
    ".grid{stroke:#dddddd}.axis{stroke:#555555;fill:none}";

std::string text(double x, double y, const std::string& anchor, const std::string& words, const std::string& extra = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor, extra, escape_html(words));
}

std::string embedded(const at::Tensor& rgb, double width, double height) {
  return fmt::format("<image width=\"{:.1f}\" height=\"{:.1f}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{}\"/>", width,
                     height, base64(encode_png(rgb)));
}

// Renderers differ in how they enlarge; a picture with as many pixels as the panel shows the same in all of them.
at::Tensor enlarged(const at::Tensor& rgb) {
  constexpr int64_t kPixels = 380;
  const int64_t factor = kPixels / std::max<int64_t>(1, rgb.size(1));
  return factor <= 1 ? rgb : rgb.repeat_interleave(factor, 1).repeat_interleave(factor, 2);
}

// False where it is not installed. `name`: the figure's, for people.
bool run_converter(const fs::path& svg, const fs::path& png, const fs::path& name) {
  const pid_t child = fork();
  if (child == 0) {
    execlp("rsvg-convert", "rsvg-convert", "--zoom", "2", "--background-color", "white", "--unlimited", "--output", png.c_str(),
           svg.c_str(), static_cast<char*>(nullptr));
    _exit(errno == ENOENT ? 127 : 126);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child)
    throw Error(fmt::format("rsvg-convert could not be started: {}", std::strerror(errno)));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return false;
  throw Error(fmt::format("{}: rsvg-convert could not draw it; nothing is written", name.string()));
}

}  // namespace

FigureSheet::FigureSheet(std::string title) : title_(std::move(title)) {}

void FigureSheet::row(const std::string& words) { rows_.push_back({words, {}}); }

void FigureSheet::add(Panel panel) {
  if (rows_.empty()) row();
  rows_.back().panels.push_back(std::move(panel));
}

void FigureSheet::picture(const std::string& label, const at::Tensor& rgb, const std::optional<Box>& box) {
  const double width = kPicture * static_cast<double>(rgb.size(2)) / static_cast<double>(rgb.size(1));
  Panel panel{embedded(enlarged(rgb), width, kPicture), width, kPicture + kLabel};
  if (box) {
    const double scale = kPicture / static_cast<double>(rgb.size(1));
    const auto& [x, y, w, h] = *box;
    panel.svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"none\" stroke=\"#e02020\" stroke-width=\"2\"/>",
        static_cast<double>(x) * scale, static_cast<double>(y) * scale, static_cast<double>(w) * scale, static_cast<double>(h) * scale);
  }
  panel.svg += text(width / 2, kPicture + 15, "middle", label);
  add(std::move(panel));
}

void FigureSheet::chart(const std::string& title, const std::vector<Series>& series, ChartOptions options) {
  std::string svg = line_chart(title, series, options);
  // The element's own size, so that it keeps it inside of the sheet.
  const size_t at = svg.find("viewBox=\"0 0 ") + 13;
  const double width = std::stod(svg.substr(at)), height = std::stod(svg.substr(svg.find(' ', at) + 1));
  svg.insert(5, fmt::format("width=\"{}\" height=\"{}\" ", width, height));
  add({std::move(svg), width, height});
}

void FigureSheet::colour_scale(double highest, const std::string& label) {
  constexpr double kBar = 14, kText = 60;
  const at::Tensor ramp = heat(at::linspace(1, 0, 128).unsqueeze(1));
  Panel panel{embedded(ramp, kBar, kPicture), kBar + kText, kPicture + kLabel};
  for (const double part : {0.0, 0.5, 1.0})
    panel.svg += text(kBar + 5,
                      kPicture * (1 - part) + (part == 0.0   ? 0
                                               : part == 1.0 ? 10
                                                             : 4),
                      "start", fmt::format("{:.3g}", part * highest));
  panel.svg += text(0, kPicture + 15, "start", label);
  add(std::move(panel));
}

std::string FigureSheet::svg() const {
  double width = 0, height = kMargin + (title_.empty() ? 0 : kTitle);
  std::string body;
  if (!title_.empty()) body += text(kMargin, kMargin + 16, "start", title_, " class=\"sheet\"");
  for (const auto& row : rows_) {
    double x = kMargin, tallest = 0;
    if (!row.text.empty()) {
      body += text(kMargin, height + 14, "start", row.text, " class=\"title\"");
      height += kLabel;
    }
    for (const auto& panel : row.panels) {
      body += fmt::format("<g transform=\"translate({:.1f} {:.1f})\">{}</g>\n", x, height, panel.svg);
      x += panel.width + kGap;
      tallest = std::max(tallest, panel.height);
    }
    width = std::max(width, x - kGap + kMargin);
    height += tallest + kGap;
  }
  height += kMargin - kGap;
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\">\n<style>{2}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{3}</svg>\n",
      width, height, sheet_style, body);
}

void FigureSheet::write(const fs::path& file) const {
  const fs::path svg_file = file.string() + ".svg", png_file = file.string() + ".png";
  if (std::all_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.panels.empty(); }))
    throw Error(fmt::format("{}: the figure has neither pictures nor charts; nothing is written", file.string()));
  // Both are replaced together: an earlier figure's PNG beside a new SVG would pass for the new one.
  PartialFile drawn_svg(svg_file), drawn_png(png_file);
  drawn_svg.write([this](std::ostream& stream) { stream << svg(); });
  const bool has_png = run_converter(drawn_svg.path(), drawn_png.path(), png_file);
  drawn_svg.keep();
  if (!has_png) {
    throw Error(
        fmt::format("{} is written; its PNG needs rsvg-convert, which is not installed (Debian's librsvg2-bin)", svg_file.string()));
  }
  drawn_png.keep();
}

at::Tensor heat(const at::Tensor& values) {
  const at::Tensor bytes = (values.clamp(0, 1) * 255).round().to(at::kByte).cpu().contiguous();
  const cv::Mat gray(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)), CV_8UC1, bytes.data_ptr());
  cv::Mat coloured;
  cv::applyColorMap(gray, coloured, cv::COLORMAP_VIRIDIS);
  return at::from_blob(coloured.data, {coloured.rows, coloured.cols, 3}, at::kByte).flip(2).permute({2, 0, 1}).to(at::kFloat).div(255);
}

Series density(const std::string& name, const at::Tensor& values, double low, double high, int64_t bins) {
  const at::Tensor flat = values.flatten().to(at::kFloat).cpu();
  const at::Tensor counts = at::histc(flat, bins, low, high).to(at::kDouble);
  const double step = (high - low) / static_cast<double>(bins);
  Series series{name, {}, {}};
  for (int64_t i = 0; i < bins; ++i) {
    series.x.push_back(low + (static_cast<double>(i) + 0.5) * step);
    series.y.push_back(counts[i].item<double>() / (static_cast<double>(flat.numel()) * step));
  }
  return series;
}

Series normal_density(const std::string& name, double mean, double deviation, double low, double high, int64_t points) {
  Series series{name, {}, {}, true};
  for (int64_t i = 0; i <= points; ++i) {
    const double x = low + (high - low) * static_cast<double>(i) / static_cast<double>(points), z = (x - mean) / deviation;
    series.x.push_back(x);
    series.y.push_back(std::exp(-0.5 * z * z) / (deviation * std::sqrt(2.0 * std::numbers::pi)));
  }
  return series;
}

}  // namespace lpnsr
