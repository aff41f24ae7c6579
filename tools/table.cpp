// lpnsr table: the paper's tables, and one's own.
#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_text.h"
#include "core/log.h"
#include "diffusion/system.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/launch.h"
#include "tools/table_run.h"

namespace lpnsr {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> table_files(const std::vector<std::string>& names) {
  std::vector<fs::path> files;
  for (const auto& name : names) {
    if (name == "all") {
      for (const auto& file : list_experiment_files("tables")) files.push_back(file);
    } else {
      files.push_back(find_experiment_file(name, "tables", "table"));
    }
  }
  check_names_of_results(files, "table");
  return files;
}

void write_table(const ResultTable& table, const fs::path& folder) {
  write_file_atomically(folder / (table.name + ".md"), table.markdown());
  write_file_atomically(folder / (table.name + ".tex"), table.latex());
  write_file_atomically(folder / (table.name + ".csv"), table.csv());
  write_file_atomically(folder / (table.name + "-scores.csv"), table.scores_csv());
  write_file_atomically(folder / (table.name + ".json"), json_text(table.json(), 2) + "\n");
}

// All tables of one call on one page.
void write_page(const std::vector<ResultTable>& tables, const fs::path& file) {
  HtmlReport report(tables.size() == 1 ? tables.front().title : "Results");
  try {
    for (const auto& table : tables) table.add_to(report);
  } catch (const DataError& error) {
    throw with_advice(error, file.parent_path() / "cells");
  }
  report.write(file);
}

}  // namespace

int run_table(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("table", "Computes what is missing of the paper's tables and writes them beside the paper's own numbers.",
                   "lpnsr table 1 --device cuda\n"
                   "  lpnsr table all --dry-run\n"
                   "  lpnsr table mine.toml --output results --processes 4");
  CommonOptions common;
  std::vector<std::string> names;
  std::string output;
  int64_t processes = 1;
  bool dry_run = false, recompute = false;
  line.add()("name", po::value(&names)->required()->value_name("NAME"), "1 to 7, all, a name of experiments/tables, or a table's file")(
      "output,o", po::value(&output)->default_value("results")->value_name("DIR"),
      "NAME.md, .tex, .csv, -scores.csv, .json, results.html, and cells/ with what is kept")(
      "processes", po::value(&processes)->default_value(1)->value_name("N"),
      "processes on this machine, a cell each at a time; the tasks of a Slurm array share out the cells by themselves")(
      "dry-run", po::bool_switch(&dry_run),
      "only say what is there, what is to do and exactly which files are missing (then the exit status is 1)")(
      "recompute", po::bool_switch(&recompute), "forget what is kept of these tables");
  line.positional("name", -1);
  add_common_options(line, common, {"weights-dir", "set", "device", "precision", "threads", "json"});
  if (!line.parse(arguments)) return 0;
  if (processes < 1 || processes > 1024) throw UsageError(fmt::format("--processes {}: 1 to 1024 expected", processes));
  set_threads(common.threads);
  const Share share = share_from_environment();
  const CacheOptions options{output, weights_folder(common.weights_dir), device_of_share(common.device, share), common.precision,
                             common.threads};

  const auto files = table_files(names);
  parse_precision(common.precision);  // what is impossible is told before hours of work
  if (!dry_run) make_output_folder(output);
  std::vector<TableRun> runs;
  for (const auto& file : files) runs.emplace_back(read_table_file(file, common.set), options);
  if (dry_run) {
    nlohmann::json plans = nlohmann::json::array();
    std::string text;
    bool complete = true;
    for (const auto& run : runs) {
      plans.push_back(run.plan_json());
      text += run.plan() + "\n";
      complete &= run.missing(true).empty();
    }
    std::cout << (common.json ? json_text(plans, 2) + "\n" : text);
    return complete ? 0 : 1;
  }
  if (recompute && share.alone()) {
    for (const auto& run : runs) run.forget();
  }
  if (processes > 1 && share.alone()) {
    Arguments words{"table"};
    for (const auto& word : without_option(arguments, "processes")) {
      if (word != "--recompute") words.push_back(word);
    }
    const int status = launch(processes, words);
    if (status != 0) return status;
  }
  for (const auto& run : runs) run.compute(share);

  std::vector<std::string> faults;
  for (const auto& run : runs) {
    for (const auto& fault : run.incomplete()) faults.push_back(run.name() + ": " + fault);
  }
  // The tasks of an array and the processes of one machine leave the table to who started them.
  if (!share.alone()) {
    log_info("this part is done; 'lpnsr table {}' writes the table when all are", fmt::join(names, " "));
    return 0;
  }
  std::vector<ResultTable> tables;
  nlohmann::json results = nlohmann::json::array();
  for (const auto& run : runs) {
    tables.push_back(run.gather());
    write_table(tables.back(), output);
    results.push_back(tables.back().json());
    if (!common.json) std::cout << tables.back().markdown() << "\n";
  }
  write_page(tables, fs::path(output) / "results.html");
  if (common.json) std::cout << json_text(results, 2) << "\n";
  if (!faults.empty()) throw Error(fmt::format("not complete:\n  {}", fmt::join(faults, "\n  ")));
  return 0;
}

}  // namespace lpnsr
