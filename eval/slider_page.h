#pragma once
// A self-contained page on which the LR picture, its bicubic enlargement, what methods made of it and the true picture can be compared by a
// slider.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lpnsr {

struct SliderPage {
  std::string title = "Comparison";
  std::vector<std::pair<std::string, std::filesystem::path>> methods;  // name, and folder or picture
  std::filesystem::path low_resolution, reference;                     // folders or pictures; empty: not shown
  int64_t shown = 20;                                                  // pictures
  int64_t side = 1024;                                                 // of the part in the middle that is shown; 0: all
};

// Pictures are those of `low_resolution`, or of the first method without it; what belongs to them is found by name (eval/pairing.h). Throws
// Error where a method lacks one of them or sizes differ.
void write_slider_page(const SliderPage& page, const std::filesystem::path& file);

}  // namespace lpnsr
