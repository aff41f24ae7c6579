#pragma once
#include <filesystem>
#include <string>

namespace lpnsr {

// Fetches `address` into `file` with curl, or wget where there is no curl, going on where an earlier attempt stopped; their progress goes
// to stderr. Throws Error where neither is there or the transfer fails; what has come is kept for the next attempt.
void fetch_file(const std::string& address, const std::filesystem::path& file);

}  // namespace lpnsr
