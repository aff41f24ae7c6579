#pragma once
// The registry of published weights (published_weights.toml, part of the program), and files of a person's own beside it.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"

namespace lpnsr {

struct PublishedFile {
  std::string name;
  std::string what, module, project;  // module: as `lpnsr forward` names it, or a part of one
  std::string address;                // of the file itself; empty where none is known
  std::string page;                   // where a person finds it, where that is not the project's
  std::string sha256;                 // lower-case hexadecimal, possibly only its beginning; empty where none is published
  int64_t size = 0;                   // bytes; 0 where it is not known
  bool usual = false;                 // the published configuration of `lpnsr restore` needs it
  void fields(FieldVisitor& v);
};

// The built-in entries and, after them, those of the TOML file `more` (of the same form; an entry of the same name takes the place of the
// built-in one). Throws UsageError that names every fault of that file.
std::vector<PublishedFile> published_files(const std::filesystem::path& more = {});
// Null where the name is not registered.
const PublishedFile* find_published(const std::vector<PublishedFile>& files, const std::string& name);

// What keeps `file` from being the registered one, size and hash as far as they are known; "" where nothing does.
std::string mismatch(const PublishedFile& published, const std::filesystem::path& file);

}  // namespace lpnsr
