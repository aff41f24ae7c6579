#pragma once
// Files that are either complete under their final name or not there at all.
#include <array>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace lpnsr {

// Writes to a temporary name beside `path`, flushes to disk and renames. Throws Error (disk full, no permission) that names the path; the
// temporary file is removed then and an earlier file under `path` is kept.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write);
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// A new file beside `target`, nobody else's, until it is complete and takes the target's name; what never did is removed. A target that is
// a link stays one: the file behind it is replaced. Each member throws Error that names the target.
class PartialFile {
 public:
  explicit PartialFile(std::filesystem::path target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void write(const std::function<void(std::ostream&)>& write);
  void keep();  // flushes to disk and renames

 private:
  std::filesystem::path target_, replaced_, path_;
  int descriptor_ = -1;
};

// A name for what is not complete yet, to be renamed to `target`: in the same folder, hidden, and nobody else's. It holds nothing of the
// target's name, which may be as long as the file system allows.
std::filesystem::path partial_name_for(const std::filesystem::path& target);

// Removes what killed writers left in `folder` under such names; only for a folder that nobody else writes to.
void remove_partial_files(const std::filesystem::path& folder);

std::string read_file(const std::filesystem::path& path);  // throws Error that names the path

std::filesystem::path folder_of(const std::filesystem::path& file);  // "." where its name has none

// Creates the folder and its parents. Throws Error that says why it cannot be written to.
void make_output_folder(const std::filesystem::path& path);

// The same for the folder of a file that is to be written when the work is done; an empty name is no file. Throws Error also where `file`
// is a folder.
void make_folder_of(const std::filesystem::path& file);

// Of the pictures that can be read, in lower case; where two hold the same picture the earlier is preferred.
inline constexpr std::array<std::string_view, 7> kImageExtensions = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"};
std::string lower_case_extension(const std::filesystem::path& path);

// Files below `folder` (or `folder` itself, a file) whose extension is that of an image, sorted by path; `recursive` looks into
// sub-folders. Throws Error where it does not exist.
std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder, bool recursive);

}  // namespace lpnsr
