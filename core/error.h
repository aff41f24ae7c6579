#pragma once
// Faults that a person can mend. The program prints what() and ends with the exit status of the type.
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lpnsr {

// The work failed (a damaged file, a full disk, a lost rank): exit status 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Wrong usage (unknown option or key, impossible value): exit status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// A file that cannot be what it should be: damaged, truncated, of another format. Exit status 1. The message names the file first.
class DataError : public Error {
 public:
  using Error::Error;
};

// What an exception tells a person: libraries' ones say what failed without the jargon of their what().
std::string message_of(const std::exception& error);

// The candidate nearest to `name` by edit distance, or "" where none is near enough to be a misspelling.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace lpnsr
