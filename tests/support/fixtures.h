#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lpnsr::testing {

// A fresh folder, removed at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Of two files; a failure tells where they part.
::testing::AssertionResult same_bytes(const std::filesystem::path& one, const std::filesystem::path& two);

void write_text(const std::filesystem::path& path, const std::string& text);

struct ProgramResult {
  int status = -1;
  std::string out, err;
  double peak_mebibytes = 0.0;  // of resident memory
};
// Runs the built program ($LPNSR_PROGRAM) with a time limit.
ProgramResult run_program(const std::vector<std::string>& arguments, int timeout_seconds = 120);

}  // namespace lpnsr::testing

// The statement throws `type` whose message matches.
#define EXPECT_THROW_MESSAGE(statement, type, matcher) \
  try {                                                \
    statement;                                         \
    ADD_FAILURE() << #statement " threw nothing";      \
  } catch (const type& error) {                        \
    EXPECT_THAT(std::string(error.what()), matcher);   \
  }
