#pragma once
// A data set that tables are computed on, as users have it on disk. One TOML file each in experiments/data/.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/config.h"

namespace lpnsr {

// Folders are relative to the working directory, as data.folders of an experiment.
struct TestSet {
  std::string name;               // as the tables call it
  std::vector<std::string> low;   // folders of LR pictures
  std::vector<std::string> high;  // folders of the true pictures, one for each of `low`; empty: there are none
  std::vector<std::string> only;  // names of pictures, without extension; empty: all
  int64_t first = 0;              // the first ones by name; 0: all
  int64_t pictures = 0;           // how many the published set has; 0: any number
  int64_t scale = 4;              // of the true pictures relative to the LR ones
  std::string source;             // where it comes from and how it lies on disk, for people
  void fields(FieldVisitor& v);
};

struct TestPicture {
  std::string name;                 // the LR picture's, without extension
  std::filesystem::path low, high;  // high: empty where the set has no true pictures
};

// Throws UsageError that lists every fault.
TestSet read_test_set(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

// Sorted by name. Throws Error that says what is missing and where the set comes from.
std::vector<TestPicture> find_test_pictures(const TestSet& set);

struct TestSetCheck {
  int64_t pictures = 0;
  std::vector<std::string> faults;  // unreadable pictures, sizes that do not belong together, a number that is not the published one
};
// Decodes every picture, `threads` at a time; `progress` is called after each. Throws as find_test_pictures does.
TestSetCheck check_test_set(const TestSet& set, int64_t threads, const std::function<void(int64_t total)>& progress);

}  // namespace lpnsr
