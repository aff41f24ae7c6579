#pragma once
// Which picture `lpnsr restore` reads and where its result goes.
#include <filesystem>
#include <string>
#include <vector>

namespace lpnsr {

struct RestoreJob {
  std::filesystem::path input, output;
  std::string name;  // of the output below its folder, without extension
};

// A file for a file; a folder (its name ends with '/', or it exists) takes NAME + suffix + ".png", sub-folders kept, for each picture of
// `input`. Throws Error where there is nothing to restore and UsageError where an output would overwrite an input or another output.
std::vector<RestoreJob> plan_restoring(const std::filesystem::path& input, const std::filesystem::path& output, const std::string& suffix);

}  // namespace lpnsr
