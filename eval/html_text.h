#pragma once
#include <string>
#include <string_view>

namespace lpnsr {

std::string escape_html(std::string_view text);  // & < > " '
std::string base64(std::string_view bytes);

}  // namespace lpnsr
