#pragma once
// Which pictures a command reads and where their results go.
#include <exception>
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

// What went wrong with some of a command's pictures, told together at its end.
class PictureFaults {
 public:
  PictureFaults(std::string done, size_t pictures) : done_(std::move(done)), pictures_(pictures) {}  // done: "restored", "cropped"
  void add(const std::filesystem::path& picture, const std::exception& error);
  size_t count() const { return faults_.size(); }
  // Throws Error: "1 of 3 pictures could not be restored:" and a line for each; of a single picture what went wrong with it alone.
  void throw_if_any() const;

 private:
  std::string done_;
  size_t pictures_;
  std::vector<std::string> faults_;
};

}  // namespace lpnsr
