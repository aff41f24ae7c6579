#include "eval/html_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/files.h"
#include "core/image.h"
#include "eval/bar_chart.h"
#include "eval/html_text.h"

namespace lpnsr {
namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --line: #d8dee6; --paper: #ffffff; --stripe: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #3a4452; --paper: #171c23; --stripe: #1f2630; } }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tbody tr:nth-child(even) { background: var(--stripe); }
.note { color: var(--soft); font-size: .85rem; font-style: italic; } h3 { font-size: 1.05rem; margin: 1.4rem 0 0; }
figure { margin: 1.2rem 0; } figcaption { color: var(--soft); font-size: .9rem; margin-top: .3rem; } img { max-width: 100%; height: auto; }
.row { display: flex; gap: .5rem; overflow-x: auto; } .row div { flex: 1 0 130px; text-align: center; font-size: .85rem; color: var(--soft); }
.slider .stage { position: relative; display: inline-block; max-width: 100%; line-height: 0; cursor: ew-resize; }
.slider img { width: 100%; image-rendering: pixelated; } .slider img + img { position: absolute; inset: 0; height: 100%; }
.slider .line { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
.slider { width: fit-content; min-width: 16rem; max-width: 100%; } .slider input { width: 100%; margin: .4rem 0; display: block; }
.slider .sides { display: flex; justify-content: space-between; gap: .5rem; contain: inline-size; } .slider select { min-width: 0; }
.row img { width: 100%; image-rendering: pixelated; display: block; } .chart { width: 100%; max-width: 820px; height: auto; display: block; margin: 1rem 0; }
.chart text { fill: var(--ink); font: 12px system-ui, sans-serif; } .chart .title { font-size: 14px; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .5rem; }
.chart.small { margin: 0; } .chart .grid { stroke: var(--line); } .chart .axis { stroke: var(--soft); fill: none; } pre { background: var(--stripe); padding: .8rem; overflow-x: auto; font-size: .85rem; }
)";

// The left picture covers the page's flow, the right one is cut off left of the line; the others are hidden.
constexpr const char* slider_script = R"(
for (const figure of document.querySelectorAll('.slider')) {
  const images = [...figure.querySelectorAll('img')], stage = figure.querySelector('.stage'), line = figure.querySelector('.line');
  const [left, right] = figure.querySelectorAll('select'), range = figure.querySelector('input');
  const show = () => {
    images.forEach((image, i) => {
      image.style.visibility = i == left.value || i == right.value ? 'visible' : 'hidden';
      image.style.zIndex = i == right.value ? 1 : 0;
      image.style.clipPath = i == right.value && i != left.value ? `inset(0 0 0 ${range.value}%)` : 'none';
    });
    line.style.left = range.value + '%'; line.style.zIndex = 2;
  };
  const follow = event => {
    const box = stage.getBoundingClientRect();
    range.value = Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width)); show();
  };
  stage.addEventListener('pointermove', event => { if (event.buttons || event.pointerType === 'mouse') follow(event); });
  stage.addEventListener('pointerdown', follow);
  for (const input of [left, right, range]) input.addEventListener('input', show);
  show();
}
)";

std::string data_uri(const std::string& png_bytes) { return "data:image/png;base64," + base64(png_bytes); }

std::string cells(const std::string& tag, const std::vector<std::string>& contents) {
  std::string row = "<tr>";
  for (const auto& content : contents) row += fmt::format("<{0}>{1}</{0}>", tag, content);
  return row + "</tr>";
}

std::vector<std::string> escaped(const std::vector<std::string>& texts) {
  std::vector<std::string> result;
  for (const auto& text : texts) result.push_back(escape_html(text));
  return result;
}

std::string table_html(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div class=\"scroll\"><table><thead>" + cells("th", header) + "</thead><tbody>\n";
  for (const auto& row : rows) html += cells("td", row) + "\n";
  return html + "</tbody></table></div>\n";
}

}  // namespace

HtmlReport::HtmlReport(std::string title) : title_(std::move(title)) {}

void HtmlReport::heading(const std::string& text) { body_ += "<h2>" + escape_html(text) + "</h2>\n"; }

void HtmlReport::subheading(const std::string& text) { body_ += "<h3>" + escape_html(text) + "</h3>\n"; }

void HtmlReport::paragraph(const std::string& text) { body_ += "<p>" + escape_html(text) + "</p>\n"; }

void HtmlReport::preformatted(const std::string& summary, const std::string& text) {
  body_ += "<details><summary>" + escape_html(summary) + "</summary><pre>" + escape_html(text) + "</pre></details>\n";
}

void HtmlReport::table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> safe;
  for (const auto& row : rows) safe.push_back(escaped(row));
  body_ += table_html(escaped(header), safe);
}

void HtmlReport::table(const std::string& corner, const std::vector<Column>& columns, const std::vector<TableRow>& rows) {
  std::vector<std::string> header = {escape_html(corner)};
  for (const auto& column : columns) header.push_back(escape_html(column.title));
  const auto ranks = cell_ranks(columns, rows);
  std::vector<std::vector<std::string>> lines;
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto written = [&](const std::string& text) { return rows[r].note ? "<span class=\"note\">" + text + "</span>" : text; };
    std::vector<std::string> line = {written(escape_html(rows[r].name))};
    const auto ranked = std::count_if(rows.begin(), rows.end(), [](const TableRow& row) { return !row.note; });
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string text = format_cell(rows[r].cells[c], columns[c].decimals);
      const int rank = ranks[c][r];
      line.push_back(written(rank == 1 ? "<strong>" + text + "</strong>" : rank == 2 && ranked > 2 ? "<u>" + text + "</u>" : text));
    }
    lines.push_back(std::move(line));
  }
  body_ += table_html(header, lines);
}

void HtmlReport::figure(const std::string& caption, const std::string& png_bytes) {
  body_ += fmt::format("<figure><img src=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>\n", data_uri(png_bytes),
                       escape_html(caption), escape_html(caption));
}

void HtmlReport::image(const std::string& caption, const at::Tensor& rgb) { figure(caption, encode_png(rgb)); }

void HtmlReport::image(const std::string& caption, const std::filesystem::path& png) { figure(caption, read_file(png)); }

void HtmlReport::image_row(const std::string& caption, const std::vector<std::pair<std::string, at::Tensor>>& labelled) {
  body_ += "<figure><div class=\"row\">";
  for (const auto& [label, rgb] : labelled) {
    const std::string safe = escape_html(label);
    body_ += fmt::format("<div><img src=\"{}\" alt=\"{}\">{}</div>", data_uri(encode_png(rgb)), safe, safe);
  }
  body_ += "</div><figcaption>" + escape_html(caption) + "</figcaption></figure>\n";
}

void HtmlReport::slider(const std::string& caption, const std::vector<std::pair<std::string, at::Tensor>>& labelled) {
  slides_ = true;
  // The largest picture comes first in the stage and gives it its size.
  size_t largest = 0;
  for (size_t i = 0; i < labelled.size(); ++i) {
    if (labelled[i].second.size(2) > labelled[largest].second.size(2)) largest = i;
  }
  std::vector<size_t> order{largest};
  for (size_t i = 0; i < labelled.size(); ++i) {
    if (i != largest) order.push_back(i);
  }
  const auto choice = [&](size_t selected, const char* side) {
    std::string html = fmt::format("<select aria-label=\"{}\">", side);
    for (size_t i = 0; i < labelled.size(); ++i) {
      const auto place = static_cast<size_t>(std::find(order.begin(), order.end(), i) - order.begin());
      html += fmt::format("<option value=\"{}\"{}>{}</option>", place, i == selected ? " selected" : "", escape_html(labelled[i].first));
    }
    return html + "</select>";
  };
  body_ += fmt::format(
      "<figure class=\"slider\"><div class=\"sides\">{}{}</div><input type=\"range\" min=\"0\" max=\"100\" step=\"0.1\" "
      "value=\"50\" aria-label=\"where the pictures meet\"><div class=\"stage\" style=\"width:{}px\">",
      choice(0, "left"), choice(labelled.size() - 1, "right"), labelled[largest].second.size(2));
  for (const size_t i : order) {
    body_ += fmt::format("<img src=\"{}\" alt=\"{}\" draggable=\"false\">", data_uri(encode_png(labelled[i].second)),
                         escape_html(labelled[i].first));
  }
  body_ += "<div class=\"line\"></div></div><figcaption>" + escape_html(caption) + "</figcaption></figure>\n";
}

void HtmlReport::chart(const std::string& title, const std::vector<Series>& series, const ChartOptions& options) {
  body_ += line_chart(title, series, options) + "\n";
}

void HtmlReport::bars(const std::map<std::string, std::map<std::string, double>>& counts) {
  body_ += "<div class=\"charts\">";
  for (const auto& [name, values] : counts) body_ += bar_chart(name, values);
  body_ += "</div>\n";
}

void HtmlReport::histograms(const std::map<std::string, std::vector<double>>& values) {
  body_ += "<div class=\"charts\">";
  for (const auto& [name, numbers] : values) body_ += histogram(name, numbers);
  body_ += "</div>\n";
}

std::string HtmlReport::html() const {
  const std::string title = escape_html(title_);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n<title>" +
         title + "</title>\n<style>" + style + "</style></head>\n<body>\n<h1>" + title + "</h1>\n" + body_ +
         (slides_ ? std::string("<script>") + slider_script + "</script>\n" : "") + "</body></html>\n";
}

void HtmlReport::write(const std::filesystem::path& path) const { write_file_atomically(path, html()); }

}  // namespace lpnsr
