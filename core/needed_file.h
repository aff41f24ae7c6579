#pragma once
// A weight file that something needs, under the names that its project publishes it with.
#include <filesystem>
#include <string>
#include <vector>

namespace lpnsr {

struct NeededFile {
  std::vector<std::string> names;  // the usual one first; each is found as .safetensors too
  std::string what;                // "the linear layers of LPIPS 0.1"
  std::string source;              // where it comes from
};

// Below `folder`; empty where it is not there.
std::filesystem::path find_needed(const std::filesystem::path& folder, const NeededFile& file);
// All of them, in order. Throws Error that lists what is missing, what each file is and where it comes from; `purpose` is what needs them.
std::vector<std::filesystem::path> find_all_needed(const std::filesystem::path& folder, const std::vector<NeededFile>& files,
                                                   const std::string& purpose);

}  // namespace lpnsr
