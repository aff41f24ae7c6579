#include "eval/metrics.h"

#include <cmath>
#include <mutex>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/published_weights.h"
#include "core/sha256.h"

namespace lpnsr {
namespace {

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text + separator);
  for (std::string part; std::getline(stream, part, separator);) {
    std::erase(part, ' ');
    parts.push_back(part);
  }
  return parts;
}

void check_picture(const at::Tensor& picture) {
  if (picture.dim() != 3 || picture.size(0) != 3 || picture.numel() == 0)
    throw UsageError(fmt::format("a metric takes pictures [3,H,W]; got [{}]", fmt::join(picture.sizes(), ",")));
  const auto [least, largest] = at::aminmax(picture);  // one pass; NaN passes through
  if (!std::isfinite(least.item<double>()) || !std::isfinite(largest.item<double>()))
    throw UsageError("the picture holds NaN or infinite values");
}

// What no metric has a value for is refused in one place.
void guard(Metric& metric) {
  if (metric.score) {
    metric.score = [score = std::move(metric.score)](const at::Tensor& image, const at::Tensor& reference) {
      check_picture(image);
      if (reference.defined()) check_picture(reference);
      return score(image, reference);
    };
  }
  const auto check_all = [](const Metric::Pictures& pictures) { std::for_each(pictures.begin(), pictures.end(), check_picture); };
  if (metric.score_batch) {
    metric.score_batch = [score = std::move(metric.score_batch), check_all](const Metric::Pictures& images,
                                                                            const Metric::Pictures& references) {
      check_all(images);
      check_all(references);
      return score(images, references);
    };
  }
  if (metric.features) {
    metric.features = [features = std::move(metric.features), check_all](const Metric::Pictures& images) {
      check_all(images);
      return features(images);
    };
  }
}

}  // namespace

void read_metric_options(const FieldList& fields, const MetricRequest& request) {
  if (request.config) {
    read_config(fields, *request.config, request.set, request.set_option);
  } else {
    read_config_text(fields, "", "the metric's options", request.set, request.set_option);
  }
}

void score_by_network(Metric& metric, const MetricRequest& request, BatchWork work,
                      std::function<at::Tensor(const at::Tensor& picture)> prepare) {
  metric.batch = request.batch_size().most();
  metric.score_batch = [work = std::move(work), prepare = std::move(prepare), size = request.batch_size()](Metric::Pictures images,
                                                                                                           Metric::Pictures references) {
    const c10::InferenceMode inference;
    if (prepare) {
      for (auto* pictures : {&images, &references}) std::transform(pictures->begin(), pictures->end(), pictures->begin(), prepare);
    }
    return in_batches(images, references, size, work).to(at::kCPU, at::kDouble);
  };
  metric.score = [score = metric.score_batch](const at::Tensor& image, const at::Tensor& reference) {
    return score({image}, reference.defined() ? Metric::Pictures{reference} : Metric::Pictures{}).item<double>();
  };
}

const std::vector<MetricDescription>& metric_descriptions() {
  static const std::vector<MetricDescription> descriptions = {
      describe_psnr(),  describe_ssim(),   describe_lpips_alex(), describe_lpips_vgg(), describe_lpips_squeeze(),
      describe_dists(), describe_niqe(),   describe_nrqm(),       describe_pi(),        describe_clipiqa(),
      describe_musiq(), describe_maniqa(), describe_topiq_nr(),   describe_fid()};
  return descriptions;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const auto& description : metric_descriptions()) names.push_back(description.name);
  return names;
}

const MetricDescription& find_metric(const std::string& name) {
  const std::string wanted = name == "lpips" ? "lpips.alex" : name;
  for (const auto& description : metric_descriptions()) {
    if (description.name == wanted) return description;
  }
  throw UsageError(fmt::format("unknown metric '{}' ({}){}", name, fmt::join(metric_names(), ", "), did_you_mean(name, metric_names())));
}

std::vector<std::filesystem::path> find_metric_files(const MetricDescription& description, const std::filesystem::path& folder) {
  if (description.find_files != nullptr) return description.find_files(folder);
  return find_files(description.files, folder, description.label);
}

Metric make_metric(const MetricDescription& description, const MetricRequest& request) {
  Metric metric{.name = description.name,
                .label = description.label,
                .protocol = {},
                .kind = description.kind,
                .higher_is_better = description.higher_is_better,
                .decimals = description.decimals,
                .weights = request.files};
  if (!description.configurable && (request.config || !request.set.empty())) throw UsageError(description.name + " has no options");
  if (request.files.size() > description.files.size()) {
    throw UsageError(
        fmt::format("{} takes {} weight files at most; {} were given", description.name, description.files.size(), request.files.size()));
  }
  description.prepare(metric, request);
  guard(metric);
  return metric;
}

Metric make_metric(const std::string& specification, const MetricOptions& options) {
  const auto parts = split_at(specification, ':');
  const auto& description = find_metric(parts.front());
  MetricRequest request{.set = {parts.begin() + 1, parts.end()},
                        .set_option = parts.front() + ":",
                        .config = {},
                        .files = {},
                        .device = options.device,
                        .batch = options.batch};
  if (request.set.empty() && (description.name == "psnr" || description.name == "ssim")) {
    request.set = options.psnr_ssim;
    request.set_option = "--";
  }
  if (!description.files.empty()) request.files = find_metric_files(description, options.weights);
  auto metric = make_metric(description, request);
  if (parts.size() > 1) metric.name = fmt::format("{}:{}", description.name, fmt::join(parts.begin() + 1, parts.end(), ":"));
  return metric;
}

std::vector<Metric> make_metrics(const std::vector<std::string>& specifications, const MetricOptions& options) {
  std::vector<Metric> metrics;
  for (const auto& specification : specifications) {
    auto metric = make_metric(specification, options);
    const bool repeated = std::any_of(metrics.begin(), metrics.end(), [&](const Metric& other) { return other.name == metric.name; });
    if (repeated) throw UsageError("metric '" + metric.name + "' is named twice");
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

std::vector<double> scores_of(const Metric& metric, const Metric::Pictures& images, const Metric::Pictures& references) {
  std::vector<double> values;
  if (metric.score_batch && images.size() > 1) {
    const auto scores = metric.score_batch(images, references);
    values.assign(scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel());
    return values;
  }
  for (size_t i = 0; i < images.size(); ++i) values.push_back(metric.score(images[i], references.empty() ? at::Tensor() : references[i]));
  return values;
}

std::vector<std::string> split_names(const std::string& list) {
  const auto names = split_at(list, ',');
  if (std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.empty(); }))
    throw UsageError("'" + list + "': a list of names separated by commas is needed");
  return names;
}

std::string full_protocol(const Metric& metric) {
  std::string text = metric.protocol;
  for (const auto& file : metric.weights) {
    text += fmt::format("{}{} sha256 {}", text.empty() ? "" : "; ", file.filename().string(), file_hash(file));
  }
  return text;
}

std::string file_hash(const std::filesystem::path& file) {
  // A table names its files more than once, and they may be large.
  static std::mutex guard;
  static std::map<std::pair<std::string, std::filesystem::file_time_type>, std::string> known;
  const std::pair key{std::filesystem::absolute(file).string(), std::filesystem::last_write_time(file)};
  const std::lock_guard lock(guard);
  auto& hash = known[key];
  if (hash.empty()) hash = sha256_of_file(file);
  return hash;
}

}  // namespace lpnsr
