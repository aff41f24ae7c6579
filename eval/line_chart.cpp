#include "eval/line_chart.h"

#include <fmt/format.h>

#include "eval/html_text.h"

namespace lpnsr {
namespace {

struct Page {
  double width, height;
  double left = 70, right = 16, top = 34, bottom = 46;
};
constexpr int legend_line = 18;
// Okabe and Ito's colours, told apart by people with colour blindness.
const std::vector<std::string> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b8a000"};

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  double place(double value) const {
    const double from = log ? std::log10(low) : low, to = log ? std::log10(high) : high, at = log ? std::log10(value) : value;
    return (at - from) / (to - from);
  }
};

std::vector<Series> drawable(const std::vector<Series>& series, bool log_y) {
  std::vector<Series> result;
  for (const auto& one : series) {
    Series kept{one.name, {}, {}, one.dashed, one.colour};
    for (size_t i = 0; i < std::min(one.x.size(), one.y.size()); ++i) {
      if (!std::isfinite(one.x[i]) || !std::isfinite(one.y[i]) || (log_y && one.y[i] <= 0)) continue;
      kept.x.push_back(one.x[i]);
      kept.y.push_back(one.y[i]);
    }
    if (!kept.x.empty()) result.push_back(thinned(kept));
  }
  return result;
}

Axis axis_over(const std::vector<Series>& series, std::vector<double> Series::*values, bool log) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& one : series) {
    for (const double value : one.*values) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low == high) {
    const double margin = log ? 1.0 : std::max(std::abs(low) * 0.1, 0.5);
    low = log ? low / 2 : low - margin;
    high = log ? high * 2 : high + margin;
  }
  return {low, high, log};
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& text, const std::string& extra = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor, extra, escape_html(text));
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, bool log) {
  std::vector<double> ticks;
  if (log && std::log10(high / low) >= 1.0) {
    const int first = static_cast<int>(std::ceil(std::log10(low) - 1e-9)), last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
    const int stride = std::max(1, (last - first) / 7 + 1);
    for (int exponent = first; exponent <= last; exponent += stride) ticks.push_back(std::pow(10.0, exponent));
    if (ticks.size() >= 2) return ticks;
    ticks.clear();
    for (int exponent = first - 1; exponent <= last; ++exponent) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double tick = digit * std::pow(10.0, exponent);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  }
  const double rough = (high - low) / 5, decade = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * decade;
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * decade >= rough) {
      step = digit * decade;
      break;
    }
  }
  for (double tick = std::ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step)
    ticks.push_back(std::abs(tick) < step * 1e-6 ? 0.0 : tick);
  return ticks;
}

Series thinned(const Series& series, size_t limit) {
  if (series.x.size() <= limit) return series;
  Series result{series.name, {}, {}, series.dashed, series.colour};
  for (size_t bucket = 0; bucket < limit; ++bucket) {
    const size_t first = bucket * series.x.size() / limit, last = (bucket + 1) * series.x.size() / limit;
    double x = 0, y = 0;
    for (size_t i = first; i < last; ++i) {
      x += series.x[i];
      y += series.y[i];
    }
    result.x.push_back(x / static_cast<double>(last - first));
    result.y.push_back(y / static_cast<double>(last - first));
  }
  return result;
}

std::string line_chart(const std::string& title, const std::vector<Series>& series, const ChartOptions& options) {
  const auto shown = drawable(series, options.log_y);
  const Page page{options.width, options.height};
  size_t longest = 0;
  for (const auto& one : shown) longest = std::max(longest, one.name.size());
  constexpr double kLetter = 7.5, kMark = 40;
  const double entry_width = std::max(80.0, kMark + kLetter * static_cast<double>(longest));
  const auto a_line = static_cast<size_t>(std::clamp(std::floor((page.width - page.left - page.right) / entry_width), 1.0, 4.0));
  const size_t legend_lines = shown.size() > 1 ? (shown.size() + a_line - 1) / a_line : 0;
  const double full_height = page.height + legend_line * static_cast<double>(legend_lines);
  std::string svg = fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", page.width, full_height,
                                escape_html(title));
  svg += text_at(page.width / 2, 18, "middle", title + (options.log_y ? " (log scale)" : ""), " class=\"title\"");
  if (shown.empty()) return svg + text_at(page.width / 2, page.height / 2, "middle", "no values") + "</svg>";

  const Axis x_axis = axis_over(shown, &Series::x, false), y_axis = axis_over(shown, &Series::y, options.log_y);
  const auto column = [&](double x) { return page.left + x_axis.place(x) * (page.width - page.left - page.right); };
  const auto row = [&](double y) { return page.height - page.bottom - y_axis.place(y) * (page.height - page.top - page.bottom); };
  for (const double tick : axis_ticks(y_axis.low, y_axis.high, y_axis.log)) {
    svg += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", page.left, page.width - page.right,
                       row(tick), row(tick));
    svg += text_at(page.left - 6, row(tick) + 4, "end", fmt::format("{:.4g}", tick));
  }
  for (const double tick : axis_ticks(x_axis.low, x_axis.high, false)) {
    svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>", column(tick), column(tick),
                       page.height - page.bottom, page.height - page.bottom + 4);
    svg += text_at(column(tick), page.height - page.bottom + 17, "middle", fmt::format("{:.6g}", tick));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>", page.left, page.top, page.height - page.bottom, page.width - page.right);
  svg += text_at((page.left + page.width - page.right) / 2, page.height - 10, "middle", options.x_label);
  if (!options.y_label.empty()) {
    svg += text_at(0, 0, "middle", options.y_label,
                   fmt::format(" transform=\"translate(14 {}) rotate(-90)\"", (page.top + page.height - page.bottom) / 2));
  }
  for (size_t s = 0; s < shown.size(); ++s) {
    const size_t number = shown[s].colour < 0 ? s : static_cast<size_t>(shown[s].colour);
    const std::string& colour = colours[number % colours.size()];
    std::string points;
    for (size_t i = 0; i < shown[s].x.size(); ++i) points += fmt::format("{:.1f},{:.1f} ", column(shown[s].x[i]), row(shown[s].y[i]));
    for (size_t i = 0; i < shown[s].x.size() && (options.points || shown[s].x.size() == 1); ++i) {
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>", column(shown[s].x[i]), row(shown[s].y[i]), colour);
    }
    const std::string dashes = shown[s].dashed ? " stroke-dasharray=\"5 4\"" : "";
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{}><title>{}</title></polyline>", points,
                       colour, dashes, escape_html(shown[s].name));
    if (shown.size() == 1) continue;
    const double x = page.left + static_cast<double>(s % a_line) * (page.width - page.left - page.right) / static_cast<double>(a_line),
                 y = page.height + legend_line * static_cast<double>(s / a_line) + 8;
    svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\" stroke-width=\"3\"{4}/>", x,
                       x + 18, y - 4, colour, dashes);
    svg += text_at(x + 23, y, "start", shown[s].name);
  }
  return svg + "</svg>";
}

}  // namespace lpnsr
