#include "core/needed_file.h"

#include <fmt/ranges.h>

#include "core/error.h"

namespace lpnsr {

std::filesystem::path find_needed(const std::filesystem::path& folder, const NeededFile& file) {
  for (const auto& name : file.names) {
    const auto as_published = folder / name, converted = std::filesystem::path(as_published).replace_extension(".safetensors");
    for (const auto& path : {as_published, converted}) {
      if (std::filesystem::is_regular_file(path)) return path;
    }
  }
  return {};
}

std::vector<std::filesystem::path> find_all_needed(const std::filesystem::path& folder, const std::vector<NeededFile>& files,
                                                   const std::string& purpose) {
  std::vector<std::filesystem::path> found;
  std::vector<std::string> missing;
  std::string guidance;
  for (const auto& file : files) {
    found.push_back(find_needed(folder, file));
    if (found.back().empty()) missing.push_back(file.names.front());
    guidance += fmt::format("\n  {}  {} ({})", file.names.front(), file.what, file.source);
  }
  if (missing.empty()) return found;
  throw Error(
      fmt::format("{}: {} not found; {} needs in the weights folder (--weights-dir, $LPNSR_WEIGHTS or weights/):{}\n"
                  "a .safetensors of the same name will do",
                  folder.string(), fmt::join(missing, " and "), purpose, guidance));
}

}  // namespace lpnsr
