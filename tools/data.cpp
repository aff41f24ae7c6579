// lpnsr data check: what a training run or a table will find.
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_text.h"
#include "core/log.h"
#include "eval/table_file.h"
#include "eval/test_set.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "trainers/check_data.h"
#include "trainers/experiment.h"

namespace lpnsr {
namespace {

// The data sets that a file names: its own, a table's; none where it is an experiment.
std::vector<TestSet> test_sets_of(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  const ConfigNode root = load_config(file);
  if (root.table.contains("low")) return {read_test_set(file, overrides)};
  std::vector<TestSet> sets;
  if (!root.table.contains("columns")) return sets;
  const TableFile table = read_table_file(file, overrides);
  for (const auto& data : table.data) sets.push_back(read_test_set(table.beside(data)));
  return sets;
}

int check_sets(const std::vector<TestSet>& sets, const CommonOptions& common) {
  const int64_t threads = one_picture_a_thread(common);
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  std::string text;
  bool sound = true;
  for (const auto& set : sets) {
    TestSetCheck check;
    std::optional<Progress> progress;
    try {
      check = check_test_set(set, threads, [&](int64_t total) {
        if (!progress) progress.emplace("checking " + set.name, total, 0, "pictures");
        progress->advance();
      });
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      check.faults.emplace_back(error.what());
    }
    if (progress) progress->finish();
    results.push_back({{"name", set.name}, {"pictures", check.pictures}, {"faults", check.faults}});
    text += fmt::format("{}: {} pictures{}\n", set.name, check.pictures, check.faults.empty() ? ", all well" : "");
    for (const auto& fault : check.faults) text += "  " + fault + "\n";
    sound &= check.faults.empty();
  }
  std::cout << (common.json ? json_text(results, 2) + "\n" : text);
  return sound ? 0 : 1;
}

}  // namespace

int run_data(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line(
      "data",
      "Reads every training picture of an experiment, or every picture of a table's data sets, and says what is missing or damaged.",
      "lpnsr data check experiments/lpnsr.toml\n"
      "  lpnsr data check experiments/data/realsr.toml\n"
      "  lpnsr data check table2");
  CommonOptions common;
  std::string action, experiment_file;
  line.add()("action", po::value(&action)->required()->value_name("check"), "what to do")(
      "experiment", po::value(&experiment_file)->required()->value_name("FILE"), "an experiment, a data set, or a table");
  line.positional("action", 1);
  line.positional("experiment", 1);
  add_common_options(line, common, {"set", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  if (action != "check") throw UsageError(fmt::format("data: there is no action '{}'; did you mean 'check'?", action));

  const auto file = find_experiment_file(experiment_file, "tables", "table");
  const auto sets = test_sets_of(file, common.set);
  if (!sets.empty()) return check_sets(sets, common);
  const Experiment experiment = load_experiment(file, common.set);
  const int64_t threads = one_picture_a_thread(common);
  std::optional<Progress> progress;
  const DataCheck check = check_data(experiment.data, threads, [&progress](int64_t total) {
    if (!progress) progress.emplace("checking", total, 0, "pictures");
    progress->advance();
  });
  if (progress) progress->finish();

  if (common.json) {
    nlohmann::ordered_json unreadable = nlohmann::ordered_json::array(), small = nlohmann::ordered_json::array();
    for (const auto& [path, why] : check.unreadable) unreadable.push_back({{"path", path.string()}, {"why", why}});
    for (const auto& path : check.small) small.push_back(path.string());
    const nlohmann::ordered_json result{{"pictures", check.pictures},
                                        {"unreadable", unreadable},
                                        {"smaller_than_the_crop", small},
                                        {"least_side", check.least_side},
                                        {"largest_side", check.largest_side}};
    std::cout << json_text(result, 2) << "\n";
  } else {
    std::cout << fmt::format("{} pictures, sides from {} to {} pixels\n", check.pictures, check.least_side, check.largest_side);
    for (const auto& [path, why] : check.unreadable) std::cout << "unreadable: " << why << "\n";
    for (const auto& path : check.small) std::cout << "smaller than the crop, will be mirrored to fill it: " << path.string() << "\n";
    if (!check.unreadable.empty()) {
      std::cout << fmt::format("{} unreadable: training {}\n", check.unreadable.size(),
                               experiment.data.skip_unreadable ? "goes on without them; data.skip_unreadable=false stops at the first"
                                                               : "stops at the first (data.skip_unreadable=false)");
    }
  }
  return check.unreadable.empty() ? 0 : 1;
}

}  // namespace lpnsr
