#pragma once
// Which picture belongs to which, by name, as people have their data sets on disk.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lpnsr {

struct PicturePair {
  std::filesystem::path picture;
  std::filesystem::path reference;  // empty where no reference folder was given
};

// The pictures of a folder, listed once, as counterparts of others. The folder may be a picture itself, which then belongs to all.
class Counterparts {
 public:
  explicit Counterparts(std::filesystem::path folder);
  // The same name; else the same stem, with or without its last _lq _lr _LQ _LR x4 x2 _bicubic _LR4, followed by nothing or _gt _hr _GT
  // _HR, with any of kImageExtensions in any case. Empty where there is none.
  std::filesystem::path of(const std::filesystem::path& picture) const;

 private:
  std::filesystem::path folder_;
  std::multimap<std::string, std::filesystem::path> pictures_;  // by name, its extension in lower case
};

// Of a single picture.
std::filesystem::path find_counterpart(const std::filesystem::path& picture, const std::filesystem::path& folder);

// Every picture of `pictures` (a folder or a file) with its reference; where both are one folder its *_HR.* and *_GT.* are references only.
// Throws Error that names the pictures without a reference.
std::vector<PicturePair> pair_pictures(const std::filesystem::path& pictures, const std::filesystem::path& references);

}  // namespace lpnsr
