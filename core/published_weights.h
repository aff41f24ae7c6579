#pragma once
// The registry of published weights (published_weights.toml, part of the program), and files of a person's own beside it: what each file
// is, where it comes from and under which names it is found.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"

namespace lpnsr {

struct PublishedFile {
  std::string name;
  std::vector<std::string> also;      // other names that people have it under
  std::string what, module, project;  // module: as `lpnsr forward` names it, or a part of one
  std::string address;                // of the file itself; empty where none is known
  std::string page;                   // where a person finds it, where that is not the project's
  std::string sha256;                 // lower-case hexadecimal, possibly only its beginning; empty where none is published
  int64_t size = 0;                   // bytes; 0 where it is not known
  bool usual = false;                 // the published configuration of `lpnsr restore` needs it
  void fields(FieldVisitor& v);
  // "it comes from ADDRESS (lpnsr weights fetch 'NAME')", or its page.
  std::string origin() const;
};

// The built-in entries and, after them, those of the TOML file `more` (of the same form; an entry of the same name takes the place of the
// built-in one). Throws UsageError that names every fault of that file.
std::vector<PublishedFile> published_files(const std::filesystem::path& more = {});
// Null where the name is not registered.
const PublishedFile* find_published(const std::vector<PublishedFile>& files, const std::string& name);
// A built-in entry. Throws Error where there is none of that name.
const PublishedFile& published_file(const std::string& name);

// Below `folder` under any of its names, as published or converted to .safetensors; empty where it is not there.
std::filesystem::path find_file(const PublishedFile& file, const std::filesystem::path& folder);
// The built-in entries `names` below `folder`, in order. Throws Error that lists what is missing, what each file is and where it comes
// from; `purpose` is what needs them.
std::vector<std::filesystem::path> find_files(const std::vector<std::string>& names, const std::filesystem::path& folder,
                                              const std::string& purpose);

// What keeps `file` from being the registered one, size and hash as far as they are known; "" where nothing does.
std::string mismatch(const PublishedFile& published, const std::filesystem::path& file);

}  // namespace lpnsr
