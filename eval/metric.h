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
#include "eval/batches.h"

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

  // Pictures are RGB [3,H,W] in [0,1] on the CPU, of any sizes; references are undefined, or no list, where none are needed. A picture's
  // value depends on nothing but the picture: not on other calls, their order, what it is scored with or the number of threads. These throw
  // UsageError for pictures that are too small.
  using Pictures = std::vector<at::Tensor>;
  // Picture and pair.
  std::function<double(const at::Tensor& image, const at::Tensor& reference)> score = {};
  // Where several at a time are worth more than one after the other: of the networks. A value each, float64 [N].
  std::function<at::Tensor(const Pictures& images, const Pictures& references)> score_batch = {};
  // Sets: the features of each picture [N,D], float32, and the distance of two sets of them, [N,D] and [M,D].
  std::function<at::Tensor(const Pictures& images)> features = {};
  std::function<double(const at::Tensor& features, const at::Tensor& reference)> distance = {};
  int64_t batch = 1;  // pictures that are worth being given at a time

  bool needs_reference() const { return kind != MetricKind::picture; }
};

struct MetricRequest {
  std::vector<std::string> set;                 // "key=value" of the metric's options
  std::string set_option{kSetOption};           // what people write before one of them
  std::optional<std::filesystem::path> config;  // TOML with the same keys
  std::vector<std::filesystem::path> files;     // of weights, in the order of the description's (networks take theirs in any order)
  c10::Device device = c10::kCPU;
  int64_t batch = 0;  // pictures that a network sees at a time; 0: as the device likes (BatchSize)

  BatchSize batch_size() const { return {batch, device}; }
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

// Gives a metric that is one network its `score` and `score_batch`: `work` on pictures of equal size once `prepare` has made them ready.
void score_by_network(Metric& metric, const MetricRequest& request, BatchWork work,
                      std::function<at::Tensor(const at::Tensor& picture)> prepare = {});

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
