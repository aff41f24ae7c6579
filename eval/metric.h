#pragma once
// What a metric is to the rest of the program. Each metric is one module: a description with its name, the files it needs and a function
// that makes it ready; `lpnsr evaluate`, `forward`, `bench` and the reports know metrics by this alone.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "core/config.h"

namespace lpnsr {

enum class MetricKind {
  picture,  // no reference
  pair,     // a picture and its reference, of one size
  set       // two sets of pictures
};

struct Metric {
  std::string name;      // as it was asked for: "psnr", "psnr:protocol=pyiqa"
  std::string label;     // "PSNR"
  std::string protocol;  // "lpnsr, Y, crop 4"
  MetricKind kind = MetricKind::pair;
  bool higher_is_better = true;
  int decimals = 4;
  std::vector<std::filesystem::path> weights = {};

  // Picture and pair: RGB [3,H,W] in [0,1] on the CPU; `reference` is undefined where none is needed. The value depends on nothing but the
  // pictures: not on other calls, their order or the number of threads. Throws UsageError for pictures that are too small.
  std::function<double(const at::Tensor& image, const at::Tensor& reference)> score = {};
  // Sets: a picture's features [D], float32, and the distance of two sets of them, [N,D] and [M,D].
  std::function<at::Tensor(const at::Tensor& image)> features = {};
  std::function<double(const at::Tensor& features, const at::Tensor& reference)> distance = {};

  bool needs_reference() const { return kind != MetricKind::picture; }
};

struct MetricRequest {
  std::vector<std::string> set;                 // "key=value" of the metric's options
  std::optional<std::filesystem::path> config;  // TOML with the same keys
  std::vector<std::filesystem::path> files;     // of weights, in the order of the description's (networks take theirs in any order)
  c10::Device device = c10::kCPU;
};

struct MetricDescription {
  std::string name, label;
  MetricKind kind = MetricKind::pair;
  bool higher_is_better = true;
  int decimals = 4;
  std::vector<std::string> files;  // of weights, by their published names (core/published_weights.h)
  bool configurable = false;
  // Fills in protocol and functions. Throws UsageError for unknown options and DataError for weights that do not fit.
  void (*prepare)(Metric& metric, const MetricRequest& request) = nullptr;
  // Where the files are not simply those under `files`.
  std::vector<std::filesystem::path> (*find_files)(const std::filesystem::path& folder) = nullptr;
};

// Reads a metric's options from the request, refusing unknown ones.
void read_metric_options(const FieldList& fields, const MetricRequest& request);

// The modules.
MetricDescription describe_psnr();
MetricDescription describe_ssim();
MetricDescription describe_lpips_alex();
MetricDescription describe_lpips_vgg();
MetricDescription describe_lpips_squeeze();
MetricDescription describe_dists();
MetricDescription describe_niqe();
MetricDescription describe_nrqm();
MetricDescription describe_pi();
MetricDescription describe_clipiqa();
MetricDescription describe_musiq();
MetricDescription describe_maniqa();
MetricDescription describe_topiq_nr();
MetricDescription describe_fid();

}  // namespace lpnsr
