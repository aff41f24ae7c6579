#include "core/published_weights.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/config_tree.h"
#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"

namespace lpnsr {

extern const std::string_view published_weights_toml;

namespace {

struct WeightsRegistry {
  std::vector<PublishedFile> files;
  void fields(FieldVisitor& v) {
    for (auto& file : files) v.section(file.name, file, "a file of weights");
  }
};

std::vector<PublishedFile> read_registry(std::string_view toml, const std::string& origin) {
  WeightsRegistry registry;
  const ConfigNode root = parse_config(toml, origin);
  for (const auto& [name, entry] : root.table) registry.files.emplace_back().name = name;
  read_config_text(fields_of(registry), toml, origin);
  for (const auto& file : registry.files) {
    const bool hexadecimal = file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos && file.sha256.size() <= 64;
    if (!hexadecimal) throw UsageError(fmt::format("{}: the sha256 of {} is no hash in lower-case hexadecimal digits", origin, file.name));
  }
  return registry.files;
}

}  // namespace

void PublishedFile::fields(FieldVisitor& v) {
  v.texts("also", also, "other names that it is found under");
  v.text("what", what, "what it is, for people");
  v.text("module", module, "what it loads into");
  v.text("project", project, "whose it is");
  v.text("address", address, "of the file itself");
  v.text("page", page, "where a person finds it");
  v.text("sha256", sha256, "its hash, or the beginning of it");
  v.integer("size", size, non_negative, "bytes");
  v.boolean("usual", usual, "whether `lpnsr restore` needs it as published");
}

std::string PublishedFile::origin() const {
  if (!address.empty()) return fmt::format("it comes from {} (lpnsr weights fetch '{}')", address, name);
  return fmt::format("it comes from {}", page.empty() ? project : page);
}

namespace {

const std::vector<PublishedFile>& built_in() {
  static const auto files = read_registry(published_weights_toml, "the built-in registry of weights");
  return files;
}

}  // namespace

std::vector<PublishedFile> published_files(const std::filesystem::path& more) {
  auto files = built_in();
  if (more.empty()) return files;
  for (auto& file : read_registry(read_file(more), more.string())) {
    const auto same = std::find_if(files.begin(), files.end(), [&file](const PublishedFile& f) { return f.name == file.name; });
    if (same == files.end()) {
      files.push_back(std::move(file));
    } else {
      *same = std::move(file);
    }
  }
  return files;
}

const PublishedFile* find_published(const std::vector<PublishedFile>& files, const std::string& name) {
  const auto found = std::find_if(files.begin(), files.end(), [&name](const PublishedFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

const PublishedFile& published_file(const std::string& name) {
  const auto* file = find_published(built_in(), name);
  if (file == nullptr) throw Error(fmt::format("'{}' is not in the registry of published weights", name));
  return *file;
}

std::filesystem::path find_file(const PublishedFile& file, const std::filesystem::path& folder) {
  std::vector<std::string> names{file.name};
  names.insert(names.end(), file.also.begin(), file.also.end());
  for (const auto& name : names) {
    const auto as_published = folder / name, converted = std::filesystem::path(as_published).replace_extension(".safetensors");
    for (const auto& path : {as_published, converted}) {
      if (std::filesystem::is_regular_file(path)) return path;
    }
  }
  return {};
}

std::vector<std::filesystem::path> find_files(const std::vector<std::string>& names, const std::filesystem::path& folder,
                                              const std::string& purpose) {
  std::vector<std::filesystem::path> found;
  std::vector<std::string> missing;
  std::string guidance;
  for (const auto& name : names) {
    const PublishedFile& file = published_file(name);
    found.push_back(find_file(file, folder));
    if (found.back().empty()) missing.push_back(name);
    guidance += fmt::format("\n  {}  {}; {}", name, file.what, file.origin());
  }
  if (missing.empty()) return found;
  throw Error(
      fmt::format("{}: {} not found; {} needs in the weights folder (--weights-dir, $LPNSR_WEIGHTS or weights/):{}\n"
                  "a .safetensors of the same name will do",
                  folder.string(), fmt::join(missing, " and "), purpose, guidance));
}

std::string mismatch(const PublishedFile& published, const std::filesystem::path& file) {
  const auto size = static_cast<int64_t>(std::filesystem::file_size(file));
  if (published.size > 0 && size != published.size) return fmt::format("has {} bytes, the published file {}", size, published.size);
  if (published.sha256.empty()) return "";
  const std::string hash = sha256_of_file(file);
  if (hash.starts_with(published.sha256)) return "";
  return fmt::format("has the SHA-256 {}, the published file {}", hash, published.sha256);
}

}  // namespace lpnsr
