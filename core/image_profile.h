#pragma once
// Colour profiles (ICC) in files that OpenCV has encoded: its writers have no place for them.
#include <string>
#include <string_view>

namespace lpnsr {

// Whether `profile` is an ICC profile for gray pictures or, otherwise, for RGB ones; a profile of another kind (a printer's) would be
// refused by readers.
bool profile_describes(std::string_view profile, bool gray);

// The bytes of a JPEG, WebP or TIFF file ("JPEG", "WebP", "TIFF") as OpenCV writes them, with the profile put in; others unchanged.
std::string with_profile(std::string bytes, const std::string& format, const std::string& profile);

}  // namespace lpnsr
