#include <algorithm>
#include <charconv>
#include <sstream>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files.h"
#include "trainers/data.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

struct FolderEntry {
  fs::path path;
  int64_t first = 0;  // pictures to take; 0: all
};

// "PATH" or "PATH:N".
FolderEntry parse_folder(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || fs::exists(text)) return {text};
  FolderEntry entry{text.substr(0, colon)};
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(begin, end, entry.first);
  if (fault != std::errc() || rest != end || entry.first < 1) {
    throw UsageError(fmt::format("data.folders: '{}': after the colon a number of pictures was expected, 1 or more", text));
  }
  return entry;
}

std::vector<fs::path> pictures_of_folder(const std::string& text) {
  const FolderEntry entry = parse_folder(text);
  if (!fs::exists(entry.path)) throw UsageError(fmt::format("data.folders: {}: does not exist", entry.path.string()));
  auto pictures = list_images(entry.path, true);
  if (pictures.empty()) throw UsageError(fmt::format("data.folders: {}: holds no pictures", entry.path.string()));
  if (entry.first > static_cast<int64_t>(pictures.size())) {
    throw UsageError(
        fmt::format("data.folders: {}: {} pictures were asked for, it holds {}", entry.path.string(), entry.first, pictures.size()));
  }
  if (entry.first > 0) pictures.resize(static_cast<size_t>(entry.first));
  return pictures;
}

std::vector<fs::path> pictures_of_list(const fs::path& list) {
  if (!fs::is_regular_file(list)) throw UsageError(fmt::format("data.lists: {}: does not exist", list.string()));
  std::istringstream text(read_file(list));
  std::vector<fs::path> pictures;
  std::string line;
  for (int64_t number = 1; std::getline(text, line); ++number) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) continue;
    const fs::path path = list.parent_path() / line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    if (!fs::is_regular_file(path)) throw UsageError(fmt::format("{}:{}: {} does not exist", list.string(), number, path.string()));
    pictures.push_back(path);
  }
  if (pictures.empty()) throw UsageError(fmt::format("data.lists: {}: names no pictures", list.string()));
  return pictures;
}

}  // namespace

void DataOptions::fields(FieldVisitor& v) {
  v.texts("folders", folders, "folders of pictures, searched with their sub-folders; PATH:N takes the first N by name");
  v.texts("lists", lists, "text files with one picture a line, relative to the list");
  v.integer("crop_size", crop_size, {8, 8192}, "side of the target, pixels");
  v.choice("crop", crop, {"random", "centred", "square"},
           "at full size; the same with small pictures mirrored on all sides (the released script); a square of the short side, shrunk "
           "(ResShift)");
  v.integer("degraded_size", degraded_size, {0, 8192}, "side that is degraded before the pair is cut out (Real-ESRGAN: 400); 0: crop_size");
  v.integer("halve_above", halve_above, non_negative, "pictures are halved until their long side is no longer; 0: never");
  v.boolean("flip", flip, "mirror half of the crops");
  v.boolean("rotate", rotate, "turn crops by quarters");
  v.integer("workers", workers, {1, 256}, "threads that read and degrade");
  v.integer("prefetch", prefetch, {1, 1024}, "batches ready in advance");
  v.choice("degrade_on", degrade_on, {"workers", "device"},
           "where pictures are degraded: these threads, or the training device in batches");
  v.integer("pair_pool", pair_pool, {0, 1 << 20}, "pairs that are mixed before they are handed out, a multiple of the batch; 0: none");
  v.boolean("cache", cache, "keep decoded pictures in memory");
  v.boolean("skip_unreadable", skip_unreadable, "name pictures that cannot be read and go on without them; false: stop at the first");

  if (degraded_size != 0 && degraded_size < crop_size) {
    throw UsageError(
        fmt::format("data.degraded_size: {} is smaller than data.crop_size, {}, which is cut out of it", degraded_size, crop_size));
  }
  if (degrade_on == "device" && degraded_size > crop_size) {
    throw UsageError("data.degrade_on: the device degrades whole crops; data.degraded_size above data.crop_size needs \"workers\"");
  }
}

std::vector<fs::path> find_pictures(const DataOptions& options) {
  if (options.folders.empty() && options.lists.empty()) {
    throw UsageError("data.folders: no training pictures are named; set data.folders or data.lists");
  }
  std::vector<fs::path> pictures;
  const auto add = [&pictures](const std::vector<fs::path>& more) {
    for (const auto& path : more) pictures.push_back(path.lexically_normal());
  };
  for (const auto& folder : options.folders) add(pictures_of_folder(folder));
  for (const auto& list : options.lists) add(pictures_of_list(list));
  std::sort(pictures.begin(), pictures.end());
  pictures.erase(std::unique(pictures.begin(), pictures.end()), pictures.end());
  return pictures;
}

}  // namespace lpnsr
