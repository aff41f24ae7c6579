#include "eval/pairing.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> low_suffixes = {"_lq", "_lr", "_LQ", "_LR", "x4", "x2", "_bicubic", "_LR4"};
const std::vector<std::string> high_suffixes = {"", "_gt", "_hr", "_GT", "_HR"};
const std::vector<std::string> extensions = {".png", ".jpg", ".jpeg", ".bmp", ".PNG", ".JPG", ".JPEG", ".BMP"};

bool is_named_reference(const fs::path& picture) {
  const std::string stem = picture.stem().string();
  return std::any_of(high_suffixes.begin() + 1, high_suffixes.end(), [&](const std::string& suffix) { return stem.ends_with(suffix); });
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

}  // namespace

fs::path find_counterpart(const fs::path& picture, const fs::path& folder) {
  if (fs::is_regular_file(folder)) return folder;
  const bool shared = same_folder(picture.parent_path(), folder);
  const auto usable = [&](const fs::path& candidate) {
    return fs::is_regular_file(candidate) && !(shared && candidate.filename() == picture.filename());
  };
  if (usable(folder / picture.filename())) return folder / picture.filename();
  std::vector<std::string> stems = {picture.stem().string()};
  for (const auto& suffix : low_suffixes) {
    if (stems.front().size() > suffix.size() && stems.front().ends_with(suffix)) {
      stems.push_back(stems.front().substr(0, stems.front().size() - suffix.size()));
      break;
    }
  }
  for (const auto& stem : stems) {
    for (const auto& suffix : high_suffixes) {
      for (const auto& extension : extensions) {
        if (usable(folder / (stem + suffix + extension))) return folder / (stem + suffix + extension);
      }
    }
  }
  return {};
}

std::vector<PicturePair> pair_pictures(const fs::path& pictures, const fs::path& references) {
  if (!references.empty() && !fs::exists(references)) throw Error(references.string() + ": no such folder or file of references");
  const bool shared = !references.empty() && same_folder(pictures, references) && fs::is_directory(references);
  std::vector<PicturePair> pairs;
  std::vector<std::string> unmatched;
  for (const auto& picture : list_images(pictures, false)) {
    if (shared && is_named_reference(picture)) continue;
    PicturePair pair{picture, references.empty() ? fs::path{} : find_counterpart(picture, references)};
    if (!references.empty() && pair.reference.empty()) unmatched.push_back(picture.filename().string());
    pairs.push_back(std::move(pair));
  }
  if (pairs.empty()) throw Error(pictures.string() + ": holds no pictures");
  if (fs::is_regular_file(references) && pairs.size() > 1) {
    throw UsageError(fmt::format("{}: one reference for the {} pictures of {}; a folder is needed", references.string(), pairs.size(),
                                 pictures.string()));
  }
  if (!unmatched.empty()) {
    const size_t shown = std::min<size_t>(unmatched.size(), 8);
    throw Error(fmt::format(
        "{}: no reference for {} of {} pictures: {}{}; looked for the same name, then for its stem without {} and with {}",
        references.string(), unmatched.size(), pairs.size(),
        fmt::join(unmatched.begin(), unmatched.begin() + static_cast<std::ptrdiff_t>(shown), ", "), shown < unmatched.size() ? ", …" : "",
        fmt::join(low_suffixes, " "), fmt::join(high_suffixes.begin() + 1, high_suffixes.end(), " ")));
  }
  return pairs;
}

}  // namespace lpnsr
