#include "eval/slider_page.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "core/image.h"
#include "core/resize.h"
#include "eval/html_report.h"
#include "eval/pairing.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

using Layers = std::vector<std::pair<std::string, at::Tensor>>;

at::Tensor read_counterpart(const fs::path& picture, const fs::path& place, const std::string& whose) {
  std::error_code unreadable;  // then the search below tells what is wrong
  const bool own = fs::equivalent(place, folder_of(picture), unreadable);
  const fs::path found = own ? picture : find_counterpart(picture, place);
  if (found.empty()) throw Error(fmt::format("{}: holds no picture of '{}' that belongs to {}", place.string(), whose, picture.string()));
  return read_image(found).rgb;
}

// The part in the middle, on whole pixels of the LR picture where there is one.
struct Middle {
  int64_t top = 0, left = 0, height = 0, width = 0;
  at::Tensor of(const at::Tensor& image, int64_t scale) const {
    return image.slice(1, top * scale, (top + height) * scale).slice(2, left * scale, (left + width) * scale);
  }
};

Middle middle_of(int64_t height, int64_t width, int64_t side) {
  const auto cut = [side](int64_t length) { return side > 0 ? std::min(length, std::max<int64_t>(1, side)) : length; };
  return {(height - cut(height)) / 2, (width - cut(width)) / 2, cut(height), cut(width)};
}

Layers layers_of(const SliderPage& page, const fs::path& picture) {
  Layers large;
  for (const auto& [name, place] : page.methods) large.emplace_back(name, read_counterpart(picture, place, name));
  if (!page.reference.empty()) large.emplace_back("true picture", read_counterpart(picture, page.reference, "true picture"));
  const int64_t height = large.front().second.size(1), width = large.front().second.size(2);
  for (const auto& [name, image] : large) {
    if (image.size(1) != height || image.size(2) != width) {
      throw Error(fmt::format("{}: '{}' has {}x{} pixels and '{}' {}x{}; only pictures of one size can lie on each other", picture.string(),
                              large.front().first, width, height, name, image.size(2), image.size(1)));
    }
  }
  Layers layers;
  int64_t scale = 1;
  if (!page.low_resolution.empty()) {
    const auto low = read_image(picture).rgb;
    const bool whole = height % low.size(1) == 0 && width % low.size(2) == 0 && height / low.size(1) == width / low.size(2);
    scale = whole ? height / low.size(1) : 1;
    const auto bicubic = resize_bicubic(low, height, width).clamp(0, 1);
    const Middle part = middle_of(height / scale, width / scale, page.side > 0 ? std::max<int64_t>(1, page.side / scale) : 0);
    if (whole) layers.emplace_back("low resolution", part.of(low, 1));
    layers.emplace_back("bicubic", part.of(bicubic, scale));
  }
  const Middle part = middle_of(height / scale, width / scale, page.side > 0 ? std::max<int64_t>(1, page.side / scale) : 0);
  for (const auto& [name, image] : large) layers.emplace_back(name, part.of(image, scale));
  return layers;
}

}  // namespace

void write_slider_page(const SliderPage& page, const fs::path& file) {
  if (page.methods.empty()) throw UsageError("compare: at least one method is needed, as NAME=FOLDER");
  const fs::path& first = page.low_resolution.empty() ? page.methods.front().second : page.low_resolution;
  auto pictures = list_images(first, /*recursive=*/false);
  if (pictures.empty()) throw Error(fmt::format("{}: holds no pictures", first.string()));
  if (static_cast<int64_t>(pictures.size()) > page.shown) pictures.resize(static_cast<size_t>(page.shown));
  HtmlReport report(page.title);
  report.paragraph(
      "Move over a picture, or its slider, to uncover one side or the other; the boxes above it choose what lies on each side.");
  for (const auto& picture : pictures) report.slider(picture.filename().string(), layers_of(page, picture));
  report.write(file);
}

}  // namespace lpnsr
