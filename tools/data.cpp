// lpnsr data check: what a training run will find.
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "trainers/check_data.h"
#include "trainers/experiment.h"

namespace lpnsr {

int run_data(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("data", "Reads every training picture of an experiment and says which are damaged or smaller than the crop.",
                   "lpnsr data check experiments/lpnsr.toml");
  CommonOptions common;
  std::string action, experiment_file;
  line.add()("action", po::value(&action)->required()->value_name("check"), "what to do")(
      "experiment", po::value(&experiment_file)->required()->value_name("TOML"), "whose [data] section");
  line.positional("action", 1);
  line.positional("experiment", 1);
  add_common_options(line, common, {"set", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  if (action != "check") throw UsageError(fmt::format("data: there is no action '{}'; did you mean 'check'?", action));

  const Experiment experiment = load_experiment(experiment_file, common.set);
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
    std::cout << nlohmann::ordered_json{{"pictures", check.pictures},
                                        {"unreadable", unreadable},
                                        {"smaller_than_the_crop", small},
                                        {"least_side", check.least_side},
                                        {"largest_side", check.largest_side}}
                     .dump(2)
              << "\n";
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
