#pragma once
#include <string>

#include <nlohmann/json.hpp>

namespace lpnsr {

// JSON's text, on one line or indented. What is not UTF-8, as names of files need not be, becomes U+FFFD instead of an error.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace lpnsr
