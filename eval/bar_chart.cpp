#include "eval/bar_chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "eval/html_text.h"

namespace lpnsr {
namespace {

constexpr struct { double width = 250, height = 150, left = 8, right = 8, top = 26, bottom = 30; } small_page;

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* extra = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor, extra, escape_html(text));
}

std::string opening(const std::string& title) {
  return fmt::format("<svg class=\"chart small\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", small_page.width,
                     small_page.height, escape_html(title)) +
         text_at(small_page.width / 2, 16, "middle", title, " class=\"title\"");
}

std::string bars(const std::vector<double>& counts, double gap) {
  const double tallest = std::max(1.0, *std::max_element(counts.begin(), counts.end()));
  const double step = (small_page.width - small_page.left - small_page.right) / static_cast<double>(counts.size());
  std::string svg;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double tall = counts[i] / tallest * (small_page.height - small_page.top - small_page.bottom);
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#0072b2\"><title>{}</title></rect>",
                       small_page.left + static_cast<double>(i) * step + gap / 2, small_page.height - small_page.bottom - tall,
                       std::max(0.5, step - gap), tall, counts[i]);
  }
  return svg + fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/>", small_page.left, small_page.height - small_page.bottom,
                           small_page.width - small_page.right);
}

}  // namespace

std::string histogram(const std::string& title, const std::vector<double>& values, int bins) {
  std::string svg = opening(fmt::format("{} ({})", title, values.size()));
  if (values.empty()) return svg + text_at(small_page.width / 2, small_page.height / 2, "middle", "never drawn") + "</svg>";
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const double low = *lowest, span = std::max(*highest - low, 1e-12);
  std::vector<double> counts(static_cast<size_t>(bins));
  for (const double value : values) {
    counts[static_cast<size_t>(std::min(bins - 1, static_cast<int>((value - low) / span * bins)))] += 1;
  }
  svg += bars(counts, 1.0);
  svg += text_at(small_page.left, small_page.height - small_page.bottom + 16, "start", fmt::format("{:.3g}", low));
  return svg +
         text_at(small_page.width - small_page.right, small_page.height - small_page.bottom + 16, "end", fmt::format("{:.3g}", *highest)) +
         "</svg>";
}

std::string bar_chart(const std::string& title, const std::map<std::string, double>& counts) {
  std::string svg = opening(title);
  if (counts.empty()) return svg + text_at(small_page.width / 2, small_page.height / 2, "middle", "never drawn") + "</svg>";
  std::vector<double> values;
  double total = 0.0;
  for (const auto& [name, count] : counts) values.push_back(count), total += count;
  svg += bars(values, 6.0);
  const double step = (small_page.width - small_page.left - small_page.right) / static_cast<double>(counts.size());
  double x = small_page.left + step / 2;
  for (const auto& [name, count] : counts) {
    svg += text_at(x, small_page.height - small_page.bottom + 12, "middle", name, " font-size=\"9\"");
    svg +=
        text_at(x, small_page.height - small_page.bottom + 24, "middle", fmt::format("{:.0f} %", 100 * count / total), " font-size=\"9\"");
    x += step;
  }
  return svg + "</svg>";
}

}  // namespace lpnsr
