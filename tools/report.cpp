#include <iostream>

#include "core/device.h"
#include "core/error.h"
#include "core/files.h"
#include "diffusion/system.h"
#include "eval/comparison.h"
#include "eval/run_report.h"
#include "tools/command_line.h"
#include "tools/commands.h"

namespace lpnsr {

int run_report(const Arguments& arguments) {
  namespace po = boost::program_options;
  CommandLine line("report", "Writes report.html into run folders, or compares methods by the pictures they restored.",
                   "lpnsr report runs/lpnsr\n  lpnsr report --compare compare.toml -o comparison/");
  CommonOptions common;
  std::vector<std::string> runs;
  std::string compare_file, output;
  line.add()("run", po::value(&runs)->value_name("RUN"), "run folders")(
      "compare", po::value(&compare_file)->value_name("TOML"),
      "names = [...], folders = [...] (dir/seed* for several seeds), reference, low_resolution, noise_folders, runs, …")(
      "output,o", po::value(&output)->value_name("DIR"), "where the comparison goes: table.md, scores.csv, report.html");
  line.positional("run", -1);
  add_common_options(line, common, {"weights-dir", "device", "threads", "set"});
  if (!line.parse(arguments)) return 0;

  set_threads(common.threads);
  if (runs.empty() == compare_file.empty()) throw UsageError("report: name either run folders or --compare TOML");
  if (compare_file.empty()) {
    if (!output.empty() || !common.set.empty())
      throw UsageError("report: --output and --set belong to --compare; a run's report goes into its folder");
    for (const auto& run : runs) std::cout << write_run_report(run).string() << "\n";
    return 0;
  }
  if (output.empty()) throw UsageError("report: --compare needs --output DIR");
  const auto options = read_comparison(compare_file, common.set);
  make_output_folder(output);  // before hours of scoring
  const auto comparison = compare(options, weights_folder(common.weights_dir), parse_device(common.device));
  write_comparison(comparison, options, output);
  std::cout << markdown_table("method", comparison.columns(), comparison.rows(), true);
  return 0;
}

}  // namespace lpnsr
