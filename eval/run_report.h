#pragma once
// A training run's report.html: its loss curves, its sample pictures and its configuration.
#include <filesystem>
#include <string>
#include <vector>

#include "eval/html_report.h"

namespace lpnsr {

// Curves of metrics.jsonl in the order of their names; a half-written last line is left out. Empty where the run has no values yet.
std::vector<Series> read_metrics(const std::filesystem::path& run);

// Charts of several runs' metrics: one for each name, a line a run. With one run the names that share a prefix ("loss/l1", "loss/lpips")
// share a chart.
void add_metric_charts(HtmlReport& report, const std::vector<std::pair<std::string, std::filesystem::path>>& runs);

void check_run_folder(const std::filesystem::path& run);  // throws UsageError where it is none

// Writes RUN/report.html and returns its path. Throws UsageError where the folder is not a run's.
std::filesystem::path write_run_report(const std::filesystem::path& run);

}  // namespace lpnsr
