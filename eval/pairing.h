#pragma once
// Which picture belongs to which, by name, as people have their data sets on disk.
#include <filesystem>
#include <vector>

namespace lpnsr {

struct PicturePair {
  std::filesystem::path picture;
  std::filesystem::path reference;  // empty where no reference folder was given
};

// The picture of `folder` that belongs to `picture`: the same name; else the same stem, with or without its last _lq _lr _LQ _LR x4 x2
// _bicubic _LR4, followed by nothing or _gt _hr _GT _HR, as .png .jpg .jpeg or .bmp. Empty where there is none. `folder` may be the picture
// itself.
std::filesystem::path find_counterpart(const std::filesystem::path& picture, const std::filesystem::path& folder);

// Every picture of `pictures` (a folder or a file) with its reference; where both are one folder its *_HR.* and *_GT.* are references only.
// Throws Error that names the pictures without a reference.
std::vector<PicturePair> pair_pictures(const std::filesystem::path& pictures, const std::filesystem::path& references);

}  // namespace lpnsr
