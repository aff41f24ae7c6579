#include "core/error.h"

#include <algorithm>
#include <filesystem>
#include <new>
#include <numeric>

#include <c10/util/Exception.h>

namespace lpnsr {
namespace {

// Insertions, deletions, substitutions and exchanges of two neighbours (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(above.begin(), above.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

}  // namespace

std::string message_of(const std::exception& error) {
  if (const auto* of_torch = dynamic_cast<const c10::Error*>(&error)) return std::string("LibTorch: ") + of_torch->what_without_backtrace();
  if (const auto* of_files = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    std::string text = of_files->path1().string();
    if (!of_files->path2().empty()) text += " and " + of_files->path2().string();
    return text + (text.empty() ? "" : ": ") + of_files->code().message();
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return "out of memory";
  return error.what();
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  const auto distance = [&](const std::string& candidate) { return edit_distance(name, candidate); };
  const auto best =
      std::min_element(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  if (best == candidates.end() || distance(*best) > std::max<size_t>(1, std::max(name.size(), best->size()) / 3)) return "";
  return *best;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  return nearest.empty() || nearest == name ? "" : "; did you mean '" + nearest + "'?";
}

}  // namespace lpnsr
