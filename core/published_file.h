#pragma once
// Weight files under the names that their projects publish them with.
#include <filesystem>
#include <string>
#include <vector>

namespace lpnsr {

struct PublishedFile {
  std::vector<std::string> names;  // the usual one first; each is found as .safetensors too
  std::string what;                // "the linear layers of LPIPS 0.1"
  std::string source;              // where it comes from
};

// Below `folder`; empty where it is not there.
std::filesystem::path find_published(const std::filesystem::path& folder, const PublishedFile& file);
// All of them, in order. Throws Error that lists what is missing, what each file is and where it comes from; `purpose` is what needs them.
std::vector<std::filesystem::path> find_all_published(const std::filesystem::path& folder, const std::vector<PublishedFile>& files,
                                                      const std::string& purpose);

}  // namespace lpnsr
