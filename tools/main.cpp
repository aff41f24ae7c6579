#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <iostream>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/memory.h"
#include "tools/commands.h"

namespace lpnsr {
namespace {

struct Command {
  const char* name;
  const char* group;
  const char* summary;
  int (*run)(const Arguments&);
};

// In the order of --help; commands of one group stand together.
constexpr Command commands[] = {
    {"restore", "Restoring", "restores an image or a folder of images (Algorithm 2)", run_restore},
    {"degrade", "Restoring", "makes low-resolution images with the RealESRGAN pipeline", run_degrade},
    {"train", "Training", "trains what an experiment file names", run_train},
    {"sweep", "Training", "trains what a table's rows need, then computes the table", run_sweep},
    {"data", "Training", "checks the pictures that an experiment trains on or a table is computed on", run_data},
    {"report", "Training", "writes a run's report.html, or compares methods", run_report},
    {"evaluate", "Evaluation", "scores restored images", run_evaluate},
    {"table", "Evaluation", "computes the paper's tables", run_table},
    {"figure", "Evaluation", "draws the paper's figures", run_figure},
    {"crop", "Evaluation", "cuts evaluation crops out of photographs", run_crop},
    {"compare", "Evaluation", "a page with sliders between methods", run_compare},
    {"forward", "Evaluation", "runs one module or metric on given tensors", run_forward},
    {"weights", "Weights", "lists, fetches, verifies and adds published weights", run_weights},
    {"inspect", "Weights", "says what a checkpoint holds and which module it fits", run_inspect},
    {"convert", "Weights", "converts a checkpoint to safetensors", run_convert},
    {"bench", "About", "times a part against its plain form", run_bench},
    {"info", "About", "version, libraries, devices, threads", run_info},
};

void print_help(std::ostream& out) {
  out << "lpnsr " LPNSR_VERSION
         ": diffusion super-resolution by residual shifting with a learned noise predictor\n\n"
         "Usage: lpnsr COMMAND [OPTIONS]\n";
  std::string group;
  for (const auto& command : commands) {
    if (group != command.group) out << "\n" << (group = command.group) << "\n";
    out << fmt::format("  {:<10} {}\n", command.name, command.summary);
  }
  out << "\n'lpnsr COMMAND --help' explains a command with an example.\n\n"
         "Example:\n  lpnsr restore -i photo.png -o restored.png\n\n"
         "Exit status: 0 done, 1 the work failed, 2 wrong usage.\n";
}

int dispatch(std::span<char*> words) {
  if (words.empty()) {
    print_help(std::cerr);
    return 2;
  }
  std::string name = words[0];
  Arguments arguments(words.begin() + 1, words.end());
  if (name == "--version" || name == "-V") {
    std::cout << "lpnsr " LPNSR_VERSION "\n";
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    if (arguments.empty()) {
      print_help(std::cout);
      return 0;
    }
    name = arguments.front();
    arguments = {"--help"};
  }
  std::vector<std::string> names;
  for (const auto& command : commands) {
    if (name == command.name) return command.run(arguments);
    names.emplace_back(command.name);
  }
  throw UsageError(fmt::format("unknown {} '{}'{} ('lpnsr --help' lists the commands)", name.starts_with('-') ? "option" : "command", name,
                               did_you_mean(name, names)));
}

int complain(const std::string& message, int status) {
  std::cout.flush();
  std::cerr << "lpnsr: " << message << "\n";
  return status;
}

int run(std::span<char*> words) {
  try {
    return dispatch(words);
  } catch (const UsageError& error) {
    return complain(error.what(), 2);
  } catch (const std::exception& error) {
    return complain(message_of(error), 1);
  }
}

// A full disk behind `> results.json` must not pass for success. A reader that has left (`| head`) needs no message.
int flush_results(int status) {
  errno = 0;
  std::cout.flush();
  if (std::cout) return status;
  return errno == EPIPE ? 1 : complain("the results could not be written to stdout", 1);
}

// A descriptor that the caller closed would be given to the next file that is opened, and messages would be written into that. What is
// there instead takes nothing, so that results still cannot be lost unnoticed.
void occupy_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    if (open("/dev/null", O_RDONLY) != descriptor) std::abort();  // the lowest free one is it
  }
}

}  // namespace
}  // namespace lpnsr

int main(int argc, char** argv) {
  lpnsr::occupy_standard_descriptors();
  lpnsr::keep_allocator_memory();
  // Writes to a pipe whose reader has left then fail instead of ending a training run whose log went through `| head`.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file larger than the limit is then an error like a full disk
  return lpnsr::flush_results(lpnsr::run(std::span(argv, static_cast<size_t>(argc)).subspan(1)));
}
