#pragma once
// The metrics by name.
#include <string>
#include <vector>

#include "eval/metric.h"

namespace lpnsr {

struct MetricOptions {
  std::filesystem::path weights = "weights";
  c10::Device device = c10::kCPU;
  int64_t batch = 0;                        // pictures that a network sees at a time; 0: as the device likes
  std::vector<std::string> psnr_ssim = {};  // "key=value" for psnr and ssim where they are named without options of their own
};

const std::vector<MetricDescription>& metric_descriptions();
std::vector<std::string> metric_names();
// Throws UsageError for an unknown name. `lpips` stands for lpips.alex, the papers' choice.
const MetricDescription& find_metric(const std::string& name);
std::vector<std::filesystem::path> find_metric_files(const MetricDescription& description, const std::filesystem::path& folder);

Metric make_metric(const MetricDescription& description, const MetricRequest& request);
// "NAME" or "NAME:KEY=VALUE:KEY=VALUE". Throws UsageError for unknown names, options and values, and Error that lists the files where the
// weights are missing.
Metric make_metric(const std::string& specification, const MetricOptions& options);
// Throws UsageError where one is named twice.
std::vector<Metric> make_metrics(const std::vector<std::string>& specifications, const MetricOptions& options);

// A value for each picture, several at a time where the metric has use for that.
std::vector<double> scores_of(const Metric& metric, const Metric::Pictures& images, const Metric::Pictures& references);

// "psnr,ssim" -> its parts, without blanks. Throws UsageError where nothing or a part is empty.
std::vector<std::string> split_names(const std::string& list);

// "lpnsr, Y, crop 4" or, with weights, "v0.1; alexnet-owt-7be5be79.pth sha256 7be5be79…".
std::string full_protocol(const Metric& metric);
std::string file_hash(const std::filesystem::path& file);  // SHA-256, read once

}  // namespace lpnsr
