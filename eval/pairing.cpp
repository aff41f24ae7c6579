#include "eval/pairing.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> low_suffixes = {"_lq", "_lr", "_LQ", "_LR", "x4", "x2", "_bicubic", "_LR4"};
const std::vector<std::string> high_suffixes = {"", "_gt", "_hr", "_GT", "_HR"};

bool is_named_reference(const fs::path& picture) {
  const std::string stem = picture.stem().string();
  return std::any_of(high_suffixes.begin() + 1, high_suffixes.end(), [&](const std::string& suffix) { return stem.ends_with(suffix); });
}

// The picture's own stem and, where it ends as those of small pictures do, what comes before that ending.
std::vector<std::string> possible_stems(const fs::path& picture) {
  const std::string stem = picture.stem().string();
  for (const auto& suffix : low_suffixes) {
    if (stem.size() > suffix.size() && stem.ends_with(suffix)) return {stem, stem.substr(0, stem.size() - suffix.size())};
  }
  return {stem};
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

}  // namespace

Counterparts::Counterparts(fs::path folder) : folder_(std::move(folder)) {
  if (!fs::is_directory(folder_)) return;
  for (const auto& picture : list_images(folder_, false))
    pictures_.emplace(picture.stem().string() + lower_case_extension(picture), picture);
}

fs::path Counterparts::of(const fs::path& picture) const {
  if (fs::is_regular_file(folder_)) return folder_;
  const bool shared = same_folder(folder_of(picture), folder_);
  const auto usable = [&](const fs::path& candidate) {
    return fs::is_regular_file(candidate) && !(shared && candidate.filename() == picture.filename());
  };
  if (usable(folder_ / picture.filename())) return folder_ / picture.filename();
  for (const auto& stem : possible_stems(picture)) {
    for (const auto& suffix : high_suffixes) {
      for (const auto extension : kImageExtensions) {
        const auto [begin, end] = pictures_.equal_range(stem + suffix + std::string(extension));
        const auto found = std::find_if(begin, end, [&](const auto& entry) { return usable(entry.second); });
        if (found != end) return found->second;
      }
    }
  }
  return {};
}

fs::path find_counterpart(const fs::path& picture, const fs::path& folder) { return Counterparts(folder).of(picture); }

std::vector<PicturePair> pair_pictures(const fs::path& pictures, const fs::path& references) {
  if (!references.empty() && !fs::exists(references)) throw Error(references.string() + ": no such folder or file of references");
  const bool shared = !references.empty() && same_folder(pictures, references) && fs::is_directory(references);
  const Counterparts counterparts(references);
  std::vector<PicturePair> pairs;
  std::vector<std::string> unmatched;
  for (const auto& picture : list_images(pictures, false)) {
    if (shared && is_named_reference(picture)) continue;
    PicturePair pair{picture, references.empty() ? fs::path{} : counterparts.of(picture)};
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
