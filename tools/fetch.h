#pragma once
#include <filesystem>
#include <string>

#include "core/error.h"

namespace lpnsr {

// The other side does not go on from where the file ends: nothing is left to send, the file is longer than what it sends, or it sends whole
// files only. Trying again would end the same way.
class CannotResume : public Error {
 public:
  using Error::Error;
};

// Fetches `address` into `file` with curl, or wget where there is no curl, going on where an earlier attempt stopped; their progress goes
// to stderr. Throws Error where neither is there or the transfer fails, CannotResume where what an earlier attempt left is why; what has
// come is kept in each case.
void fetch_file(const std::string& address, const std::filesystem::path& file);

}  // namespace lpnsr
