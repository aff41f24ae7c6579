#pragma once
// Which pictures a command reads and where their results go.
#include <filesystem>
#include <string>
#include <vector>

namespace lpnsr {

struct PictureJob {
  std::filesystem::path input, output;
  std::string name;    // of the output below its folder, without extension
  std::string source;  // of the input below its folder, with extension
};

// A file for a file; a folder (its name ends with '/', or it exists) takes NAME + suffix + extension, sub-folders kept, for each picture of
// `input`; an empty extension is the input's own. Throws Error where there is no picture and UsageError where an output would overwrite an
// input or another output.
std::vector<PictureJob> plan_pictures(const std::filesystem::path& input, const std::filesystem::path& output, const std::string& suffix,
                                      const std::string& extension = ".png");

}  // namespace lpnsr
