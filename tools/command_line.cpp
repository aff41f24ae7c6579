#include "tools/command_line.h"

#include <iostream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "core/device.h"
#include "core/error.h"

namespace lpnsr {
namespace {

namespace po = boost::program_options;

constexpr const char* surplus = "surplus";  // catches arguments that no positional option takes
constexpr size_t help_indent = 28, help_width = 110;

std::vector<std::string> spellings(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

// "  -o, --output FILE         the description, wrapped (default: …)"
std::string explain(const po::option_description& option) {
  const std::string short_name = option.canonical_display_name(po::command_line_style::allow_dash_for_short);
  const bool has_short = short_name.starts_with('-') && !short_name.starts_with("--");
  std::string line = fmt::format("  {:<4}--{}", has_short ? short_name + "," : "", option.long_name());
  std::string description = option.description();
  if (option.semantic()->max_tokens() > 0) {
    const std::string parameter = option.format_parameter();  // "FILE" or "FILE (=default)"
    const size_t fallback = parameter.find(" (=");
    line.append(1, ' ').append(parameter, 0, fallback);
    if (fallback != std::string::npos && !parameter.ends_with("(=)")) {
      description += fmt::format(" (default: {}", parameter.substr(fallback + 3));
    }
  }
  if (line.size() + 2 > help_indent) line.append(1, '\n').append(help_indent, ' ');
  line.resize(std::max(line.size(), help_indent), ' ');
  size_t column = help_indent;
  std::istringstream words(description);
  for (std::string word; words >> word; column += word.size() + 1) {
    if (column + word.size() > help_width) {
      line.back() = '\n';
      line.append(help_indent, ' ');
      column = help_indent;
    }
    line += word + " ";
  }
  line.back() = '\n';
  return line;
}

std::string without_value(const std::string& token) { return token.substr(0, token.find('=')); }

// A count that may not be negative: Boost itself would read "-1" as 18446744073709551615.
template <class Integer>
po::typed_value<int64_t>* count_option(const std::string& option, Integer& destination, int64_t fallback) {
  const auto store = [option, &destination](int64_t value) {
    if (value < 0) throw UsageError(fmt::format("--{} {}: 0 or more expected", option, value));
    destination = static_cast<Integer>(value);
  };
  return po::value<int64_t>()->default_value(fallback)->notifier(store)->value_name("N");
}

}  // namespace

CommandLine::CommandLine(std::string name, std::string summary, std::string example)
    : name_(std::move(name)), summary_(std::move(summary)), example_(std::move(example)), options_("Options") {
  options_.add_options()("help,h", "print this help");
}

po::options_description_easy_init CommandLine::add() { return options_.add_options(); }

void CommandLine::positional(const std::string& option, int count) { positional_.add(option.c_str(), count); }

void CommandLine::print_help() const {
  std::string usage = "lpnsr " + name_ + " [OPTIONS]";
  std::string previous;
  for (unsigned i = 0; i < positional_.max_total_count(); ++i) {
    std::string name = positional_.name_for_position(i);
    if (name == previous) {
      usage += "...";
      break;
    }
    previous = name;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    usage += " " + name;
  }
  std::cout << "Usage: " << usage << "\n" << summary_ << "\n\nOptions:\n";
  for (const auto& option : options_.options()) std::cout << explain(*option);
  if (!example_.empty()) std::cout << "\nExample:\n  " << example_ << "\n";
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  const auto refuse = [this](const std::string& fault) -> UsageError {
    return UsageError(fmt::format("{} ('lpnsr {} --help' lists the options)", fault, name_));
  };
  po::options_description hidden, all;
  hidden.add_options()(surplus, po::value<std::vector<std::string>>());
  all.add(options_).add(hidden);
  po::positional_options_description positions = positional_;
  if (positions.max_total_count() != std::numeric_limits<unsigned>::max()) positions.add(surplus, -1);
  try {
    const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(arguments).options(all).positional(positions).style(style).run(), values_);
    if (values_.count("help") > 0) {
      print_help();
      return false;
    }
    if (values_.count(surplus) > 0) throw refuse(fmt::format("unexpected argument '{}'", get<std::vector<std::string>>(surplus).front()));
    po::notify(values_);
  } catch (const po::unknown_option& error) {
    const std::string token = without_value(error.get_option_name());
    throw refuse(fmt::format("unknown option '{}'{}", token, did_you_mean(token, spellings(options_))));
  } catch (const po::required_option& error) {
    throw refuse(fmt::format("{} is missing", error.get_option_name()));
  } catch (const po::error& error) {
    throw refuse(error.what());
  }
  return true;
}

int64_t one_picture_a_thread(const CommonOptions& common) {
  set_threads(1);
  return common.threads > 0 ? common.threads : static_cast<int64_t>(std::max(1U, std::thread::hardware_concurrency()));
}

void add_common_options(CommandLine& line, CommonOptions& common, const std::vector<std::string>& names) {
  const auto text = [](std::string& destination, const char* placeholder) {
    return po::value<std::string>(&destination)->default_value(destination)->value_name(placeholder);
  };
  for (const auto& name : names) {
    if (name == "device") {
      line.add()("device", text(common.device, "DEVICE"), "cpu, cuda or cuda:N");
    } else if (name == "precision") {
      line.add()("precision", text(common.precision, "TYPE"), "fp32, bf16 or fp16 for convolutions and matrix products");
    } else if (name == "weights-dir") {
      line.add()("weights-dir", po::value<std::string>(&common.weights_dir)->value_name("DIR"),
                 "folder of the published weights; else $LPNSR_WEIGHTS, else weights/");
    } else if (name == "threads") {
      line.add()("threads", count_option("threads", common.threads, 0), "CPU threads; 0: all cores");
    } else if (name == "seed") {
      line.add()("seed", count_option("seed", common.seed, static_cast<int64_t>(common.seed)), "seed of every random draw");
    } else if (name == "set") {
      line.add()("set", po::value<std::vector<std::string>>(&common.set)->composing()->value_name("KEY=VALUE"),
                 "overrides a configuration key, any number of times");
    } else if (name == "json") {
      line.add()("json", po::bool_switch(&common.json), "machine-readable results on stdout");
    } else {
      throw std::logic_error("no common option is called '" + name + "'");
    }
  }
}

}  // namespace lpnsr
