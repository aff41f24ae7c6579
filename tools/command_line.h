#pragma once
// Every sub-command is a function in a file of its own; this is what they share.
#include <cstdint>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace lpnsr {

// Declares options, prints --help with an example, refuses what is unknown with the nearest name (UsageError).
class CommandLine {
 public:
  CommandLine(std::string name, std::string summary, std::string example);
  boost::program_options::options_description_easy_init add();  // add()("output,o", value<std::string>()->required(), "…")
  void positional(const std::string& option, int count);        // -1: any number
  // False where --help was printed and the command should end with 0.
  bool parse(const std::vector<std::string>& arguments);
  bool has(const std::string& option) const { return values_.count(option) > 0 && !values_[option].defaulted(); }
  template <class T>
  T get(const std::string& option) const {
    return values_[option].as<T>();
  }

 private:
  void print_help() const;
  std::string name_, summary_, example_;
  boost::program_options::options_description options_;
  boost::program_options::positional_options_description positional_;
  boost::program_options::variables_map values_;
};

// --device, --precision, --threads, --seed, --weights-dir, --set, --json: the common ones a command asks for by name.
struct CommonOptions {
  std::string device = "cpu", precision = "fp32", weights_dir;
  int64_t threads = 0;
  uint64_t seed = 12345;
  std::vector<std::string> set;
  bool json = false;
};
void add_common_options(CommandLine& line, CommonOptions& common, const std::vector<std::string>& names);
// For work of one picture a thread: --threads, or all cores; LibTorch and OpenCV then compute with one.
int64_t one_picture_a_thread(const CommonOptions& common);

}  // namespace lpnsr
