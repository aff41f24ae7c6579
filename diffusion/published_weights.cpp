#include "diffusion/published_weights.h"

#include <algorithm>

#include <fmt/format.h>

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
  v.text("what", what, "what it is, for people");
  v.text("module", module, "what it loads into");
  v.text("project", project, "whose it is");
  v.text("address", address, "of the file itself");
  v.text("page", page, "where a person finds it");
  v.text("sha256", sha256, "its hash, or the beginning of it");
  v.integer("size", size, non_negative, "bytes");
  v.boolean("usual", usual, "whether `lpnsr restore` needs it as published");
}

std::vector<PublishedFile> published_files(const std::filesystem::path& more) {
  auto files = read_registry(published_weights_toml, "the built-in registry of weights");
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

std::string mismatch(const PublishedFile& published, const std::filesystem::path& file) {
  const auto size = static_cast<int64_t>(std::filesystem::file_size(file));
  if (published.size > 0 && size != published.size) return fmt::format("has {} bytes, the published file {}", size, published.size);
  if (published.sha256.empty()) return "";
  const std::string hash = sha256_of_file(file);
  if (hash.starts_with(published.sha256)) return "";
  return fmt::format("has the SHA-256 {}, the published file {}", hash, published.sha256);
}

}  // namespace lpnsr
